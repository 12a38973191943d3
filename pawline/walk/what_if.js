/* What if? A weight of the model, or the size and the step of a window, changed by the reader. */
function showWhatIf() {
  const host = byId("what-if-tool"),
    editable = windowed.filter((s) => !mirrored[s.chain[0]]);
  if (editable.length) changeWeight(host, editable);
  changeWindow(host);
}

/* ---- a weight ---- */
function changeWeight(host, editable) {
  const tool = {
    editable,
    state: { step: 0, map: liveliest(valueOf(chainEnd(editable[0]))).map, channel: 0 },
    weights: null /* the reader's: a copy of the layer's */,
    modelMap: view(""),
    yourMap: view(""),
    inputs: el("div", { class: "grid weights", role: "group", "aria-label": "Weights of the kernel" }),
    answer: el("div", { "aria-live": "polite" }),
    timer: 0,
  };
  tool.yourMap.figure.classList.add("yours");
  tool.fields = weightFields(tool);
  const { layer, map, input } = tool.fields;
  host.append(
    el("h3", {}, "Change a weight"),
    el("div", { class: "controls" }, layer.label, map.label, input.label, ...weightButtons(tool)),
    el("div", { class: "kernel-row" }, weightsFigure(tool.inputs), tool.modelMap.figure, tool.yourMap.figure),
    tool.answer,
  );
  resetWeights(tool);
}
function weightFields(tool) {
  const { editable, state } = tool;
  const layer = choice(
      "Layer",
      editable.map((s, i) => [i, title(nodes[s.chain[0]])]),
      (v) => {
        Object.assign(state, { step: v, map: liveliest(valueOf(chainEnd(editable[v]))).map, channel: 0 });
        resetWeights(tool);
      },
    ),
    map = wholeNumber("Feature map", state, "map", () => {
      editWeights(tool);
      drawChange(tool);
    }),
    input = wholeNumber("Input channel", state, "channel", () => editWeights(tool));
  return { layer, map, input };
}
function weightButtons(tool) {
  return [
    button("Back to the model", () => resetWeights(tool)),
    button("Turn the signs", () => changeKernel(tool, (v) => -v)),
    button("All zero", () => changeKernel(tool, () => 0)),
  ];
}
function weightsFigure(inputs) {
  return el(
    "figure",
    {},
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The kernel's weights, to edit" }, inputs),
    el("figcaption", {}, "The weights of this kernel for this channel"),
  );
}
const nodeToEdit = ({ editable, state }) => nodes[editable[state.step].chain[0]];
function weightsToEdit(tool) {
  /* the places of the shown weights in the layer's kernel, row by row */
  const { state } = tool,
    node = nodeToEdit(tool),
    [high, wide, C] = node.sizes.kernel;
  return Array.from({ length: high * wide }, (_, q) =>
    node.kind === "depthwise" ? q * C + state.map : (q * C + state.channel) * node.shape[2] + state.map,
  );
}
function changeKernel(tool, change) {
  const { kernel } = tool.weights;
  for (const place of weightsToEdit(tool)) kernel[place] = change(kernel[place]);
  editWeights(tool);
  drawChangeSoon(tool);
}
function resetWeights(tool) {
  const { state, fields } = tool,
    node = nodeToEdit(tool),
    w = weightsOf(node);
  tool.weights = { kernel: Float32Array.from(w.kernel), bias: Float32Array.from(w.bias) };
  Object.assign(fields.map.input, { max: node.shape[2] - 1, value: state.map });
  Object.assign(fields.input.input, { max: node.sizes.kernel[2] - 1, value: state.channel });
  fields.input.label.hidden = node.sizes.kernel[2] === 1 || node.kind === "depthwise";
  editWeights(tool);
  drawChange(tool);
}
function editWeights(tool) {
  const wide = nodeToEdit(tool).window[1];
  tool.inputs.style.gridTemplateColumns = `repeat(${wide}, minmax(2.9rem, 1fr))`;
  tool.inputs.style.width = `min(100%, ${4.6 * wide}rem)`;
  tool.inputs.replaceChildren(
    ...weightsToEdit(tool).map((place, q) =>
      weightInput(tool, place, `Weight in row ${Math.floor(q / wide)}, column ${q % wide}`),
    ),
  );
}
function weightInput(tool, place, label) {
  const { kernel } = tool.weights,
    input = el("input", {
      type: "number",
      step: 0.05,
      value: kernel[place].toFixed(3),
      "aria-label": label,
      oninput: () => {
        if (input.value !== "" && Number.isFinite(Number(input.value))) {
          kernel[place] = Number(input.value);
          drawChangeSoon(tool);
        }
      },
    });
  input.style.width = "100%";
  return input;
}
function drawChangeSoon(tool) {
  /* a pause in typing first: the network is computed again */
  clearTimeout(tool.timer);
  tool.timer = setTimeout(() => drawChange(tool), 120);
}
function drawChange(tool) {
  const { weights, yourMap, answer } = tool,
    node = nodeToEdit(tool),
    { kernel } = weightsOf(node),
    { fresh, stopped } = rerun(node, weights);
  drawBothMaps(tool, fresh);
  yourMap.figure.dataset.changed = weights.kernel.some((v, i) => v !== kernel[i]) ? "yes" : "no";
  const last = fresh.get(nodes.length - 1);
  answer.replaceChildren(last ? answerBeforeAndNow(last.values) : whereItStopped(nodes[stopped]));
}
function drawBothMaps({ editable, state, modelMap, yourMap }, fresh) {
  const end = chainEnd(editable[state.step]),
    [H, W] = nodes[end].shape,
    old = channel(valueOf(end), state.map),
    now = channel(fresh.get(end), state.map),
    [a, b] = [range(old), range(now)],
    limits = [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
  modelMap.draw(old, H, W, limits);
  yourMap.draw(now, H, W, limits);
  modelMap.say([el("b", {}, "The model's map"), `${num(a[0])} to ${num(a[1])}`]);
  yourMap.say([el("b", {}, "Yours"), `${num(b[0])} to ${num(b[1])}, same colours`]);
}
function whereItStopped(node) {
  return el(
    "p",
    { class: "note" },
    `The change is computed up to “${node.name}”, whose ${(node.left_out / 1e6).toFixed(1)} MB of weights are not in this page. Make it with --full, and it reaches the answer.`,
  );
}
function rerun(changedNode, own) {
  /* outputs that other weights of a layer change, by node; `stopped`: the first node whose weights are not in the page */
  const fresh = new Map();
  for (let i = 0; i < nodes.length; i++) {
    /* the same layer may look at the mirror image too */
    const isChanged = nodes[i].name === changedNode.name && nodes[i].kind === changedNode.kind;
    if (!isChanged && !nodes[i].inputs.some((k) => fresh.has(k))) continue;
    const out = run(
      i,
      nodes[i].inputs.map((k) => fresh.get(k) || valueOf(k)),
      isChanged ? own : null,
    );
    if (!out) return { fresh, stopped: i };
    fresh.set(i, out);
  }
  return { fresh, stopped: null };
}
function answerBeforeAndNow(logits) {
  const p = softmax(Array.from(logits), data.temperature);
  return table(
    "The answer with your weights",
    ["class", "logit before", "logit now", "probability before", "probability now"],
    byLargest(data.probabilities)
      .slice(0, 6)
      .map((k) => [names[k], num(data.logits[k]), num(logits[k]), percent(data.probabilities[k]), percent(p[k])]),
  );
}

/* ---- a window ---- */
const [MEAN, LARGEST, LEFT_MINUS_RIGHT, TOP_MINUS_BOTTOM] = [0, 1, 2, 3];
function changeWindow(host) {
  const tool = {
    state: { window: 3, stride: 1, kind: MEAN, top: 0, left: 0, side: size },
    input: view(""),
    output: view(""),
    cover: view(""),
    formula: el("p", { class: "formula" }),
  };
  host.append(
    el("h3", {}, "Change the window on a patch of your picture"),
    el("div", { class: "controls" }, ...patchFields(tool)),
    el("div", { class: "row two" }, tool.input.figure, tool.output.figure, tool.cover.figure),
    tool.formula,
  );
  drawPatch(tool);
}
function patchFields(tool) {
  const field = (label, low, high, value, key) =>
    number(label, low, high, value, (v) => {
      tool.state[key] = Math.round(v);
      drawPatch(tool);
    }).label;
  const kind = choice(
    "Kernel",
    [
      [MEAN, "mean"],
      [LARGEST, "largest value"],
      [LEFT_MINUS_RIGHT, "left minus right"],
      [TOP_MINUS_BOTTOM, "top minus bottom"],
    ],
    (v) => {
      tool.state.kind = v;
      drawPatch(tool);
    },
  );
  return [
    kind.label,
    field("Window", 1, Math.min(9, size), 3, "window"),
    field("Stride", 1, 12, 1, "stride"),
    field("Patch: top", 0, size - 1, 0, "top"),
    field("Patch: left", 0, size - 1, 0, "left"),
    field("Patch: side", 4, size, size, "side"),
  ];
}
function drawPatch(tool) {
  const { state, input, output, cover, formula } = tool,
    { side, patch } = patchOf(state),
    { out, values, counts } = slideOverPatch(state, side, patch),
    missed = counts.filter((v) => v === 0).length;
  input.draw(patch, side, side, [0, 255], gray);
  output.draw(values, out, out, range(values), [MEAN, LARGEST].includes(state.kind) ? heat : signed);
  cover.draw(counts, side, side, [0, Math.max(...counts)]);
  input.say([el("b", {}, "Your patch"), `${side} × ${side}${channels > 1 ? ", its red values" : ""}`]);
  output.say([el("b", {}, "The map"), `${out} × ${out}`]);
  cover.say([
    el("b", {}, "Windows over each pixel"),
    missed ? `${missed} pixels lie under no window` : `${Math.min(...counts)} to ${Math.max(...counts)}`,
  ]);
  formula.textContent = windowsInWords(state, side, out, missed);
}
function patchOf(state) {
  /* its values of the first channel; at least a window large, and moved where it would reach over the edge */
  const side = Math.max(state.window, Math.min(state.side, size - Math.max(state.top, state.left))),
    top = Math.min(state.top, size - side),
    left = Math.min(state.left, size - side),
    patch = new Float64Array(side * side);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) patch[y * side + x] = picture.values[((top + y) * size + left + x) * channels];
  return { side, patch };
}
function slideOverPatch({ window: k, stride, kind }, side, patch) {
  /* values: by window, out in a row; counts: by pixel, the windows over it */
  const out = Math.floor((side - k) / stride) + 1,
    values = new Float64Array(out * out),
    counts = new Float64Array(side * side);
  for (let r = 0; r < out; r++)
    for (let c = 0; c < out; c++) {
      let sum = 0,
        most = -Infinity;
      for (let i = 0; i < k; i++)
        for (let j = 0; j < k; j++) {
          const p = (r * stride + i) * side + c * stride + j;
          counts[p]++;
          sum += weightAt(kind, i, j, k) * patch[p];
          most = Math.max(most, patch[p]);
        }
      values[r * out + c] = kind === LARGEST ? most : sum / (k * k);
    }
  return { out, values, counts };
}
function weightAt(kind, i, j, k) {
  if (kind === LEFT_MINUS_RIGHT) return Math.sign((k - 1) / 2 - j);
  if (kind === TOP_MINUS_BOTTOM) return Math.sign((k - 1) / 2 - i);
  return 1;
}
function windowsInWords({ window: k, stride }, side, out, missed) {
  const coverage =
    stride > k
      ? `The stride is larger than the window: ${missed} pixels are skipped, and the network would never see them. Pawline refuses such params.`
      : missed
        ? `${missed} pixels at the right and lower edge are left over.`
        : "Every pixel is used; none is skipped.";
  return `(${side} − ${k}) / ${stride} + 1, rounded down, = ${out} windows in a row. ${coverage}`;
}
