"use strict";
/* formulas.js computes what formulas.py computes. The files of this folder run as one script, in the order of page.py:
   what sections share comes first, then a file for each section of the page, named by its id; start.js runs them. */
const data = JSON.parse(document.getElementById("data").textContent);
const bytes = (() => {
  const text = atob(document.getElementById("arrays").textContent.trim());
  const all = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) all[i] = text.charCodeAt(i);
  return all.buffer;
})();
const floats = ([at, count]) => new Float32Array(bytes, at, count);
const octets = ([at, count]) => new Uint8Array(bytes, at, count);
const { nodes, steps, model } = data;
const names = model.class_names;
const size = model.form.image_size;
const pixels = octets(data.pixels);
const channels = pixels.length / (size * size);
const picture = { shape: [size, size, channels], values: Float32Array.from(pixels) };
const { heads } = data; /* the layers that give the logits: one, or two whose mean the network takes */
const mirrored = []; /* by node: whether it sees the mirror image only */
for (const [i, node] of nodes.entries()) {
  mirrored[i] = node.kind === "mirror" || node.inputs.every((k) => k >= 0 && mirrored[k]);
  node.label = node.name + (mirrored[i] && node.kind !== "mirror" ? ", mirror image" : "");
}
const volume = (shape) => shape.reduce((a, b) => a * b, 1);
const KIND = {
  convolution: "convolution",
  depthwise: "depthwise convolution",
  max_pooling: "max pooling",
  average_pooling: "average pooling",
  global_average: "global average pooling",
  global_max: "global max pooling",
  scale: "rescaling",
  normalization: "normalization",
  activation: "activation",
  add: "addition (the shortcut of a residual block)",
  average: "mean of both",
  multiply: "multiplication",
  concatenate: "concatenation",
  zero_padding: "zero padding",
  flatten: "flattening",
  reshape: "reshaping",
  mirror: "mirroring",
  dense: "fully connected",
};

/* ---- formulas ---- */
const ACTIVATION = {
  linear: (x) => x,
  relu: (x) => Math.max(x, 0),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  hard_sigmoid: (x) => Math.min(Math.max(x / 6 + 0.5, 0), 1),
  hard_silu: (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
};
function erf(x) {
  /* series, then continued fraction: 1e-12 */
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  let sum = a,
    term = a;
  for (let n = 1; n < 200 && Math.abs(term) > 1e-17; n++) {
    term *= (-a * a) / n;
    sum += term / (2 * n + 1);
  }
  return Math.sign(x) * Math.min(1, (2 / Math.sqrt(Math.PI)) * sum);
}
function margins(node, shape) {
  if (node.padding === "valid") return [0, 0];
  return [0, 1].map((axis) => {
    const out = Math.ceil(shape[axis] / node.stride[axis]);
    return Math.floor(Math.max((out - 1) * node.stride[axis] + node.window[axis] - shape[axis], 0) / 2);
  });
}
function weightsOf(node) {
  if (node.own) return node.own;
  if (!node.weights) return null;
  return Object.fromEntries(Object.entries(node.weights).map(([key, place]) => [key, floats(place)]));
}
const needsWeights = (node) => Object.keys(node.sizes).length > 0;
function overWindows(node, input, each) {
  /* each(output place, row, column of input or outside, place in window) */
  const [H, W] = input.shape,
    [rows, columns] = node.shape,
    [top, left] = margins(node, input.shape);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) each(r, c, r * node.stride[0] - top, c * node.stride[1] - left, H, W);
}
const COMPUTE = {
  convolution(node, [input], w) {
    const C = input.shape[2],
      K = node.shape[2],
      [high, wide] = node.window,
      out = new Float64Array(volume(node.shape));
    overWindows(node, input, (r, c, y0, x0, H, W) => {
      const at = (r * node.shape[1] + c) * K;
      for (let k = 0; k < K; k++) out[at + k] = w.bias[k];
      for (let i = 0; i < high; i++) {
        const y = y0 + i;
        if (y < 0 || y >= H) continue;
        for (let j = 0; j < wide; j++) {
          const x = x0 + j;
          if (x < 0 || x >= W) continue;
          for (let m = 0; m < C; m++) {
            const v = input.values[(y * W + x) * C + m];
            if (v === 0) continue;
            let q = ((i * wide + j) * C + m) * K;
            for (let k = 0; k < K; k++) out[at + k] += v * w.kernel[q++];
          }
        }
      }
    });
    return out;
  },
  depthwise(node, [input], w) {
    const C = input.shape[2],
      [high, wide] = node.window,
      out = new Float64Array(volume(node.shape));
    overWindows(node, input, (r, c, y0, x0, H, W) => {
      const at = (r * node.shape[1] + c) * C;
      for (let m = 0; m < C; m++) out[at + m] = w.bias[m];
      for (let i = 0; i < high; i++)
        for (let j = 0; j < wide; j++) {
          const y = y0 + i,
            x = x0 + j;
          if (y < 0 || x < 0 || y >= H || x >= W) continue;
          for (let m = 0; m < C; m++)
            out[at + m] += input.values[(y * W + x) * C + m] * w.kernel[(i * wide + j) * C + m];
        }
    });
    return out;
  },
  max_pooling: (node, [input]) => pool(node, input, true),
  average_pooling: (node, [input]) => pool(node, input, false),
  global_average(node, [input]) {
    return over(input, (sum, v) => sum + v, 0).map((v) => v / (input.shape[0] * input.shape[1]));
  },
  global_max(node, [input]) {
    return over(input, Math.max, -Infinity);
  },
  scale: (node, [input], w) => affine(input, w),
  normalization: (node, [input], w) => affine(input, w),
  activation: (node, [input]) => Float64Array.from(input.values),
  add: (node, inputs) => spread(inputs, (a, b) => a + b),
  multiply: (node, inputs) => spread(inputs, (a, b) => a * b),
  average: (node, inputs) => spread(inputs, (a, b) => a + b).map((v) => v / inputs.length),
  concatenate(node, inputs) {
    const places = volume(node.shape) / node.shape.at(-1),
      out = new Float64Array(volume(node.shape));
    let at = 0;
    for (let p = 0; p < places; p++)
      for (const one of inputs) {
        const C = one.shape.at(-1);
        for (let m = 0; m < C; m++) out[at++] = one.values[p * C + m];
      }
    return out;
  },
  zero_padding(node, [input]) {
    const [H, W, C] = input.shape,
      [[top], [left]] = node.margins,
      out = new Float64Array(volume(node.shape));
    for (let y = 0; y < H; y++)
      for (let i = 0; i < W * C; i++) out[((y + top) * node.shape[1] + left) * C + i] = input.values[y * W * C + i];
    return out;
  },
  flatten: (node, [input]) => Float64Array.from(input.values),
  reshape: (node, [input]) => Float64Array.from(input.values),
  mirror(node, [input]) {
    const [H, W, C] = input.shape,
      out = new Float64Array(H * W * C);
    for (let y = 0; y < H; y++)
      for (let x = 0; x < W; x++)
        for (let m = 0; m < C; m++) out[(y * W + x) * C + m] = input.values[(y * W + W - 1 - x) * C + m];
    return out;
  },
  dense(node, [input], w) {
    const K = node.shape[0],
      out = Float64Array.from(w.bias);
    for (let i = 0; i < input.values.length; i++) {
      const v = input.values[i];
      if (v) for (let k = 0; k < K; k++) out[k] += v * w.kernel[i * K + k];
    }
    return out;
  },
};
function pool(node, input, largest) {
  const C = input.shape[2],
    out = new Float64Array(volume(node.shape)).fill(largest ? -Infinity : 0);
  overWindows(node, input, (r, c, y0, x0, H, W) => {
    const at = (r * node.shape[1] + c) * C;
    let count = 0;
    for (let i = 0; i < node.window[0]; i++)
      for (let j = 0; j < node.window[1]; j++) {
        const y = y0 + i,
          x = x0 + j;
        if (y < 0 || x < 0 || y >= H || x >= W) continue;
        count++;
        for (let m = 0; m < C; m++) {
          const v = input.values[(y * W + x) * C + m];
          if (!largest) out[at + m] += v;
          else if (v > out[at + m]) out[at + m] = v;
        }
      }
    if (!largest) for (let m = 0; m < C; m++) out[at + m] /= count;
  });
  return out;
}
function over(input, join, first) {
  const C = input.shape[2],
    out = new Float64Array(C).fill(first);
  input.values.forEach((v, i) => {
    out[i % C] = join(out[i % C], v);
  });
  return out;
}
function affine(input, w) {
  const n = w.scale.length;
  return Float64Array.from(input.values, (v, i) => v * w.scale[i % n] + w.shift[i % w.shift.length]);
}
function spread(inputs, join) {
  /* one may be a single value per channel */
  const big = inputs.reduce((a, b) => (b.values.length > a.values.length ? b : a)),
    C = big.shape.at(-1);
  return Float64Array.from(big.values, (_, i) =>
    inputs
      .map((one) => one.values[one.values.length === big.values.length ? i : one.values.length === 1 ? 0 : i % C])
      .reduce(join),
  );
}
function run(number, inputs, own) {
  /* a node's output, or null where its weights are not in the page */
  const node = nodes[number],
    w = own || weightsOf(node);
  if (needsWeights(node) && !w) return null;
  const values = COMPUTE[node.kind](node, inputs, w);
  const act = ACTIVATION[node.activation || "linear"];
  if (node.activation && node.activation !== "linear")
    for (let i = 0; i < values.length; i++) values[i] = act(values[i]);
  return { shape: node.shape, values };
}
const softmax = (logits, t = 1) => {
  const top = Math.max(...logits),
    e = logits.map((v) => Math.exp((v - top) / t)),
    sum = e.reduce((a, b) => a + b);
  return e.map((v) => v / sum);
};

/* ---- the model's values, and those that the page computed ---- */
const computed = new Array(nodes.length).fill(null);
function kept(number) {
  /* the model's values as the page carries them */
  const node = nodes[number];
  if (node.values) return { shape: node.shape, values: floats(node.values) };
  if (!node.levels) return null;
  const [at, count, low, high] = node.levels;
  return { shape: node.shape, values: Float32Array.from(octets([at, count]), (v) => low + (v / 255) * (high - low)) };
}
function valueOf(number) {
  if (number < 0) return picture;
  if (nodes[number].values) return kept(number);
  return computed[number] || kept(number) || computeFrom(number);
}
function computeFrom(number) {
  /* an inner value that is not carried, such as that before an activation */
  const inputs = nodes[number].inputs.map(valueOf);
  if (inputs.some((i) => !i)) return null;
  return (computed[number] = run(number, inputs));
}
