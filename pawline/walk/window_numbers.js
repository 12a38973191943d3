/* What the section of the window computes: the values under the window, the pixel that they become, in words, and the
   part of the photograph that this pixel can see. */
function fieldOf(numberOfNode, r, c) {
  /* the receptive field in the network's picture: [top, left, bottom, right] */
  let box = [r, c, r, c];
  for (let at = numberOfNode; at >= 0; at = nodes[at].inputs[0]) {
    const node = nodes[at];
    if (["global_average", "global_max", "flatten", "dense"].includes(node.kind)) return [0, 0, size - 1, size - 1];
    if (node.window) {
      const input = node.inputs[0] < 0 ? picture.shape : nodes[node.inputs[0]].shape,
        m = margins(node, input);
      box = [0, 1, 2, 3].map((i) => box[i] * node.stride[i % 2] - m[i % 2] + (i > 1 ? node.window[i % 2] - 1 : 0));
    }
    if (node.kind === "mirror") box = [box[0], size - 1 - box[3], box[2], size - 1 - box[1]];
    if (node.kind === "add") {
      const boxes = node.inputs.map((i) => fieldOf(i, box[0], box[1])),
        ends = node.inputs.map((i) => fieldOf(i, box[2], box[3]));
      return [
        Math.min(...boxes.map((b) => b[0])),
        Math.min(...boxes.map((b) => b[1])),
        Math.max(...ends.map((b) => b[2])),
        Math.max(...ends.map((b) => b[3])),
      ];
    }
  }
  return box.map((v) => Math.min(size - 1, Math.max(0, v)));
}
function onPhoto([top, left, bottom, right]) {
  /* fractions of the upright photograph */
  const [h, w] = data.picture.photo_shape,
    form = model.form;
  let scale = [1 / size, 1 / size],
    move = [0, 0];
  if (form.aspect !== "stretch") {
    const s = form.aspect === "crop" ? Math.min(h, w) : Math.max(h, w);
    scale = [s / h / size, s / w / size];
    move = [(h - s) / 2 / h, (w - s) / 2 / w];
  }
  const cut = (v) => Math.min(1, Math.max(0, v));
  return [
    cut(top * scale[0] + move[0]),
    cut(left * scale[1] + move[1]),
    cut((bottom + 1) * scale[0] + move[0]),
    cut((right + 1) * scale[1] + move[1]),
  ];
}
const SAID = {
  relu: " (below zero becomes 0)",
  relu6: " (kept between 0 and 6)",
  sigmoid: " (squeezed between 0 and 1)",
};
function windowInNumbers({ node, source, w, alone }, state) {
  /* what lies under the window: sums by input channel; values, weights and products of state.input (null over the edge);
     values and weights of all channels, place by place */
  const [high, wide] = node.window,
    [H, W, C] = source.shape,
    m = margins(node, source.shape),
    top = state.row * node.stride[0] - m[0],
    left = state.column * node.stride[1] - m[1],
    found = { top, left, outside: false, sums: new Float64Array(C) };
  for (const key of ["under", "kernel", "products", "everyValue", "everyWeight"]) found[key] = [];
  for (let i = 0; i < high; i++)
    for (let j = 0; j < wide; j++) {
      const y = top + i,
        x = left + j,
        inside = y >= 0 && x >= 0 && y < H && x < W;
      found.outside ||= !inside;
      for (let c = alone ? state.map : 0; c < (alone ? state.map + 1 : C); c++) {
        const v = inside ? source.values[(y * W + x) * C + c] : 0,
          place = (i * wide + j) * C + c,
          k = w.kernel[alone ? place : place * node.shape[2] + state.map];
        found.sums[c] += v * k;
        found.everyValue.push(v);
        found.everyWeight.push(k);
        if (c === state.input) {
          found.under.push(inside ? v : null);
          found.kernel.push(k);
          found.products.push(v * k);
        }
      }
    }
  return found;
}
function pixelInWords({ source, chosen, result, node, w, alone }, state, sums) {
  /* from the products to the pixel of the model, with the real numbers */
  const C = source.shape[2],
    total = sums.reduce((a, b) => a + b, 0),
    bias = w.bias[state.map];
  let value = total + bias,
    words = `${C === 1 || alone ? "sum of the products" : `channel ${state.input}: ${num(sums[state.input])}; sum over all ${C} channels`} ${num(total)} + bias ${num(bias)} = ${num(value)}`;
  chosen.chain.forEach((number, i) => {
    const one = nodes[number],
      n = i && one.kind === "normalization" ? weightsOf(one) : null;
    if (n) {
      value = value * n.scale[state.map] + n.shift[state.map];
      words += ` → normalization (× ${num(n.scale[state.map])} + ${num(n.shift[state.map])}) ${num(value)}`;
    }
    if (one.activation && one.activation !== "linear") {
      value = ACTIVATION[one.activation](value);
      words += ` → ${one.activation}${SAID[one.activation] || ""} → ${num(value)}`;
    }
  });
  const theirs = result.values[(state.row * node.shape[1] + state.column) * node.shape[2] + state.map];
  return `${words}. The model has ${num(theirs)}; difference ${tiny(Math.abs(theirs - value))}.`;
}
