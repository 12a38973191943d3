/* How it learnt: the first layer and the answer after each epoch that the training kept, and their check. */
const learnt = data.learnt;
const epochName = (one) =>
  (one.epoch === 0 ? "at the start" : `epoch ${one.epoch}`) +
  (one.epoch === learnt.best_epoch ? " (the model)" : "");
function firstMaps(one) {
  /* the first convolution's maps of this picture with the weights of an epoch */
  const found = new Map([[-1, picture]]);
  for (const i of learnt.first) {
    const own =
      one.weights[i] && Object.fromEntries(Object.entries(one.weights[i]).map(([key, place]) => [key, floats(place)]));
    found.set(
      i,
      run(
        i,
        nodes[i].inputs.map((k) => found.get(k)),
        own,
      ),
    );
  }
  return found.get(learnt.first.at(-1));
}
function headLogits(one) {
  /* from the values that an epoch's output layer gets; the mean of both where the network also looks at the mirror image */
  const K = names.length,
    sum = new Float64Array(K);
  for (const head of one.heads) {
    const values = floats(head.values),
      kernel = floats(head.kernel),
      bias = floats(head.bias);
    for (let k = 0; k < K; k++) {
      let logit = bias[k];
      for (let i = 0; i < values.length; i++) logit += values[i] * kernel[i * K + k];
      sum[k] += logit / one.heads.length;
    }
  }
  return Array.from(sum);
}
async function checkLearnt(result) {
  /* adds result.learnt: by epoch, how far the page's own numbers differ from those that Python computed */
  result.learnt = [];
  for (const one of learnt.epochs || []) {
    const found = { epoch: one.epoch };
    if (learnt.first.length) {
      const maps = firstMaps(one);
      found.maps = gapOfSamples(one.samples, maps) / (one.largest || 1);
      one.range = range(maps.values);
    }
    if (learnt.heads.length) {
      const logits = headLogits(one);
      found.logits = gap(one.logits, logits);
      found.probabilities = gap(one.probabilities, softmax(logits, data.temperature));
    }
    result.good &&= isWithin(found);
    result.learnt.push(found);
    await new Promise((go) => setTimeout(go));
  }
  return result;
}
function showLearnt() {
  const host = byId("learnt-tool"),
    epochs = learnt.epochs;
  if (!epochs) {
    host.append(el("p", { class: "note" }, learnt.why));
    return;
  }
  const state = { at: epochs.findIndex((one) => one.epoch === learnt.best_epoch), map: 0, channel: 0, scale: 0 },
    { controls, show } = epochControls((at) => go(at), state),
    now = el("b", { id: "epoch-now", "aria-live": "polite" });
  host.append(el("p", {}, epochsInWords()), controls, el("p", { class: "formula" }, now));
  const answers = learntAnswers(host, (at) => go(at)),
    layer = learnt.first.length ? learntLayer(host, controls, state) : null;
  if (!layer)
    host.append(
      el(
        "p",
        { class: "note" },
        "The first layer of earlier epochs is not shown: it would make the page too large, or there is no convolution.",
      ),
    );
  function go(at) {
    state.at = Math.min(epochs.length - 1, Math.max(0, at));
    now.textContent = epochInWords(epochs[state.at]);
    show(state.at);
    answers(state.at);
    if (layer) layer();
  }
  go(state.at);
}
function epochsInWords() {
  const { epochs } = learnt;
  return `An epoch is one pass over the training pictures; this training ran ${learnt.num_epochs}. It kept the weights of ${epochs.length} moments: ${epochs.map(epochName).join(", ")}. All that you see of a moment is computed with its weights. Move the slider and watch the first layer change.`;
}
function epochInWords(one) {
  const name = epochName(one),
    best = one.probabilities.indexOf(Math.max(...one.probabilities));
  return `${name[0].toUpperCase()}${name.slice(1)}: “${names[best]}” with ${percent(one.probabilities[best])}`;
}
function epochControls(go, state) {
  /* the slider and its two buttons; `show` moves the slider to a kept epoch */
  const slider = el("input", {
      type: "range",
      min: 0,
      max: learnt.epochs.length - 1,
      value: state.at,
      "aria-label": "Epoch",
      oninput: () => go(Number(slider.value)),
    }),
    step = (text, by) => button(text, () => go(state.at + by));
  const controls = el(
    "div",
    { class: "controls" },
    el("label", {}, "Epoch", slider),
    step("Earlier", -1),
    step("Later", 1),
  );
  const show = (at) => {
    slider.value = at;
    slider.setAttribute("aria-valuetext", epochName(learnt.epochs[at]));
  };
  return { controls, show };
}
function learntAnswers(host, chosen) {
  /* the table of all epochs; returns a function that marks one */
  const top = byLargest(data.probabilities).slice(0, 4),
    measured = learnt.epochs.some((one) => "val_accuracy" in one);
  const made = table(
    "The answer to this picture, by epoch",
    ["epoch", ...top.flatMap((k) => [names[k], "size"]), ...(measured ? ["accuracy on val", "loss on val"] : [])],
    learnt.epochs.map((one, at) => [
      button(epochName(one), () => chosen(at)),
      ...top.flatMap((k) => [percent(one.probabilities[k]), bar(one.probabilities[k])]),
      ...(measured
        ? ["val_accuracy" in one ? percent(one.val_accuracy) : "", "val_loss" in one ? num(one.val_loss) : ""]
        : []),
    ]),
  );
  host.append(
    made,
    el(
      "p",
      { class: "note" },
      `${names.length > top.length ? `Shown: the ${top.length} classes that the model finds likeliest, of ${names.length}. ` : ""}${data.temperature === 1 ? "" : `All logits are divided by the model's temperature, ${num(data.temperature)}, so that they compare with the answer. `}Val is the part of the data by which the best epoch was chosen.`,
    ),
  );
  const rows = [...made.querySelectorAll("tbody tr")];
  return (at) => rows.forEach((row, i) => row.setAttribute("aria-current", String(i === at)));
}
const MOST_KERNELS = 64;
function learntLayer(host, controls, state) {
  /* the kernels and maps of the first convolution; returns a function that draws those of state.at */
  const node = nodes[firstConvolution()],
    [high, wide, C, K] = node.sizes.kernel,
    shown = Math.min(K, MOST_KERNELS);
  const tool = {
      state,
      tiles: kernelTiles(shown, (map) => {
        state.map = map;
        draw();
      }),
      big: view(""),
      numbers: cells(high, wide, "Weights of the kernel"),
      caption: el("figcaption"),
    },
    draw = () => drawLearntLayer(tool);
  controls.append(...layerChoices(state, C, draw));
  host.append(
    el("h3", {}, `The first layer: ${node.name}`),
    el("p", {}, kernelsInWords(C, shown, K)),
    el("div", { class: "row two" }, kernelFigure(tool.numbers.grid, tool.caption), tool.big.figure),
    el("div", { class: "maps" }, ...tool.tiles.map((tile) => tile.button)),
  );
  state.map = liveliest(firstMaps(learnt.epochs[state.at])).map;
  if (state.map >= shown) state.map = 0;
  return draw;
}
const firstConvolution = () => learnt.first.find((i) => nodes[i].kind === "convolution");
const weightsOfEpoch = (one, key) => floats(one.weights[firstConvolution()][key]);
const largestWeight = (one) => weightsOfEpoch(one, "kernel").reduce((a, v) => Math.max(a, Math.abs(v)), 1e-12);
function kernelOfEpoch(one, map) {
  const [high, wide, C, K] = nodes[firstConvolution()].sizes.kernel,
    kernels = weightsOfEpoch(one, "kernel");
  return Array.from({ length: high * wide * C }, (_, q) => kernels[q * K + map]);
}
function drawLearntLayer(tool) {
  const { epochs } = learnt,
    one = epochs[tool.state.at],
    maps = firstMaps(one),
    sameScale = tool.state.scale ? epochs : [one] /* epochs with the same colours for a value */,
    limits = [Math.min(...sameScale.map((e) => e.range[0])), Math.max(...sameScale.map((e) => e.range[1]))];
  drawTiles(tool, one, maps, limits, Math.max(...sameScale.map(largestWeight)));
  drawChosenMap(tool, one, maps, limits);
  showChosenKernel(tool, one);
}
function drawTiles({ tiles, state }, one, maps, limits, most) {
  const [high, wide, C] = nodes[firstConvolution()].sizes.kernel,
    [H, W] = maps.shape;
  tiles.forEach((tile, map) => {
    paintKernel(tile.kernel, kernelOfEpoch(one, map), high, wide, C, most);
    paint(tile.canvas, channel(maps, map), H, W, limits);
    tile.button.setAttribute("aria-pressed", map === state.map ? "true" : "false");
  });
}
function drawChosenMap({ big, state }, one, maps, limits) {
  const [H, W] = maps.shape,
    values = channel(maps, state.map),
    [low, high] = range(values);
  big.draw(values, H, W, limits);
  big.say([
    el("b", {}, `Map ${state.map}, ${epochName(one)}`),
    `${H} × ${W}, from ${num(low)} to ${num(high)}. Your browser has just computed it.`,
  ]);
}
function showChosenKernel({ numbers, caption, state }, one) {
  const C = nodes[firstConvolution()].sizes.kernel[2];
  numbers.set(
    kernelOfEpoch(one, state.map).filter((_, q) => q % C === state.channel),
    signed,
  );
  caption.replaceChildren(
    el("b", {}, `Kernel ${state.map}, ${epochName(one)}`),
    `${C === 1 ? "" : `Channel ${state.channel}. `}Bias ${num(weightsOfEpoch(one, "bias")[state.map])}.`,
  );
}
function layerChoices(state, C, changed) {
  const scale = choice(
      "Colour scale",
      [
        [0, "one for each epoch"],
        [1, "one for all epochs"],
      ],
      (v) => {
        state.scale = v;
        changed();
      },
    ),
    input = number("Input channel", 0, C - 1, 0, (v) => {
      state.channel = Math.round(v);
      changed();
    });
  input.label.hidden = C === 1;
  return [scale.label, input.label];
}
function kernelTiles(count, chosen) {
  return Array.from({ length: count }, (_, map) => {
    const kernel = el("canvas", { class: "kernel", "aria-hidden": "true" }),
      canvas = el("canvas", { "aria-hidden": "true" }),
      attributes = { type: "button", "aria-label": `Kernel and map ${map}`, onclick: () => chosen(map) };
    return { kernel, canvas, button: el("button", attributes, kernel, canvas, String(map)) };
  });
}
function kernelFigure(grid, caption) {
  const scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The kernel's weights" }, grid);
  return el("div" /* the whole width of a phone */, {}, el("figure", {}, scroll, caption));
}
function kernelsInWords(C, shown, K) {
  const colours = C === 3 ? ", drawn in its colours: grey is zero" : ": green adds, orange takes away",
    start = model.network.startsWith("fast")
      ? "patterns found in the pictures themselves, and some by chance"
      : model.network.startsWith("classic")
        ? "chance"
        : "those that the training began with";
  return `Above each map stands its kernel${colours}. At first the kernels are ${start}; the training bends them.${shown < K ? ` Shown: the first ${shown} of ${K}.` : ""}`;
}
function paintKernel(canvas, values, high, wide, C, most) {
  if (C !== 3) {
    /* one channel, or the mean of many */
    const mean = Array.from(
      { length: high * wide },
      (_, q) => values.slice(q * C, q * C + C).reduce((a, b) => a + b) / C,
    );
    paint(canvas, mean, high, wide, [-most, most], signed);
    return;
  }
  canvas.width = wide;
  canvas.height = high;
  const context = canvas.getContext("2d"),
    image = context.createImageData(wide, high);
  for (let q = 0; q < high * wide; q++)
    image.data.set([...[0, 1, 2].map((c) => 127.5 + (127.5 * values[q * 3 + c]) / most), 255], 4 * q);
  context.putImageData(image, 0, 0);
}
