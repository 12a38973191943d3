/* Where did it look? The occlusion map and the class activation map. */
function showWhere() {
  const best = data.probabilities.indexOf(Math.max(...data.probabilities));
  byId("where-tool").append(occlusionFigure(best), activationFigure(best));
}
function occlusionFigure(label) {
  const { side, falls } = data.occlusion,
    most = Math.max(...falls.map(Math.abs), 1e-9);
  return overPhoto(
    Float64Array.from(falls),
    side,
    side,
    [-most, most],
    signed,
    "Occlusion map",
    `Each of ${side} × ${side} squares was hidden in grey, and the whole network asked again. Green: the probability of “${names[label]}” falls without it (by at most ${percent(Math.max(0, ...falls))}); orange: it rises. This is an experiment with the network: it shows what the answer depends on, square by square.`,
  );
}
function activationFigure(label) {
  const found = activationMap(label);
  if (!found)
    return el(
      "p",
      { class: "note" },
      "There is no class activation map: it needs an output layer that follows global average pooling directly, as in fast and pretrained. In classic, the fully connected layer weighs each place on its own.",
    );
  const { cam, H, W, total } = found,
    [low, high] = range(cam);
  totals.activation = total;
  return overPhoto(
    cam,
    H,
    W,
    [Math.min(low, 0), Math.max(high, 0)],
    signed,
    "Class activation map",
    `Each place of the last maps (${H} × ${W}), weighted as the output layer does for “${names[label]}”.${heads.length > 1 ? " The maps of the mirror image were turned back, and this is the mean of both views." : ""} Green adds to its logit, orange takes away; their mean and the bias give ${num(total)}, and the model's logit is ${num(data.logits[label])}. A place sees far more of the picture than its own square.`,
  );
}
function overPhoto(values, H, W, limits, color, caption, words) {
  const photo = data.picture.steps[data.picture.steps.length - 1],
    one = view(""),
    canvas = one.canvas;
  one.draw(values, H, W, limits, color);
  one.say([el("b", {}, caption), words]);
  const context = canvas.getContext("2d"),
    image = context.getImageData(0, 0, W, H),
    most = Math.max(Math.abs(limits[0]), Math.abs(limits[1])) || 1;
  for (let i = 0; i < H * W; i++) image.data[4 * i + 3] = 40 + 175 * Math.min(1, Math.abs(values[i]) / most);
  context.putImageData(image, 0, 0);
  canvas.classList.add("over");
  const under = el("img", { src: photo.image, alt: "", class: "small" });
  under.style.maxHeight = "none";
  canvas.parentElement.prepend(under);
  return one.figure;
}
function activationMap(label) {
  /* the last maps, weighted for a class; the mean of both views where the network also looks at the mirror image */
  const K = names.length;
  let found = null;
  for (const end of heads) {
    const pooled = nodes[nodes[end].inputs[0]],
      maps = pooled?.kind === "global_average" && nodes[end].weights ? valueOf(pooled.inputs[0]) : null;
    if (!maps) return null;
    const [H, W, C] = maps.shape,
      w = weightsOf(nodes[end]);
    found ||= { cam: new Float64Array(H * W), H, W, total: 0 };
    for (let y = 0; y < H; y++)
      for (let x = 0; x < W; x++) {
        let sum = 0;
        for (let c = 0; c < C; c++) sum += maps.values[(y * W + x) * C + c] * w.kernel[c * K + label];
        found.cam[y * W + (mirrored[end] ? W - 1 - x : x)] += sum / heads.length;
      }
    found.total += w.bias[label] / heads.length;
  }
  if (found) found.total += found.cam.reduce((a, b) => a + b, 0) / (found.H * found.W);
  return found;
}
