/* Pooling: how a window becomes its largest value, or its mean. */
function showPooling() {
  const host = byId("pooling-tool"),
    pools = steps.filter((s) => ["max_pooling", "average_pooling"].includes(s.kind));
  if (!pools.length) {
    host.append(el("p", {}, whyNoPooling()));
    return;
  }
  const tool = {
    pools,
    state: { pool: 0, row: 0, column: 0, playing: false, ...liveliest(valueOf(chainEnd(pools[0]))) },
    intro: el("p"),
    input: view("", (y, x) => poolAround(tool, y, x)),
    output: view("", (row, column) => placePool(tool, row, column)),
    under: el("div"),
    grid: null /* of cells, as many as the window has places */,
    formula: el("p", { class: "formula" }),
  };
  tool.fields = poolFields(tool);
  const { layer, map, row, column } = tool.fields;
  host.append(
    tool.intro,
    el("div", { class: "controls" }, layer.label, map.label, row.label, column.label, ...poolButtons(tool)),
    el("div", { class: "row two" }, tool.input.figure, tool.output.figure),
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "The values under the pooling window" },
      tool.under,
    ),
    tool.formula,
  );
  drawPooling(tool);
}
function whyNoPooling() {
  const global = steps.findLast((s) => s.kind === "global_average");
  return global
    ? `This network has no max pooling: its convolutions take strides of 2 instead, so that the maps shrink. At the end, global average pooling (${nodes[global.chain[0]].name}) keeps one number of each map: its mean.`
    : "This network has no pooling.";
}
const poolNode = ({ pools, state }) => nodes[pools[state.pool].chain[0]];
const isMaxPool = ({ pools, state }) => pools[state.pool].kind === "max_pooling";
function poolFields(tool) {
  const { pools, state } = tool;
  const layer = choice(
    "Layer",
    pools.map((s, i) => [i, title(nodes[s.chain[0]])]),
    (v) => {
      Object.assign(state, { pool: v }, liveliest(valueOf(chainEnd(pools[v]))));
      drawPooling(tool);
    },
  );
  const [map, row, column] = placeFields(
    state,
    () => drawPooling(tool),
    () => updatePooling(tool),
  );
  return { layer, map, row, column };
}
function poolButtons(tool) {
  const move = (by) => {
    movePlace(tool.state, poolNode(tool).shape, by);
    updatePooling(tool);
  };
  return [
    playButton(tool.state, () => playPooling(tool.state, move)),
    button("Step back", () => move(-1)),
    button("Step", () => move(1)),
  ];
}
function playPooling(state, move) {
  let last = 0;
  const go = (now) => {
    if (!state.playing) return;
    if (now - last > 120) {
      last = now;
      move(1);
    }
    requestAnimationFrame(go);
  };
  requestAnimationFrame(go);
}
function poolAround(tool, y, x) {
  /* the window in which a pixel of the input lies */
  const { shape, stride } = poolNode(tool),
    [row, column] = [y, x].map((at, axis) => Math.min(shape[axis] - 1, Math.floor(at / stride[axis])));
  placePool(tool, row, column);
}
function placePool(tool, row, column) {
  Object.assign(tool.state, { row, column });
  updatePooling(tool);
}
function drawPooling(tool) {
  /* for another layer or map */
  const { state, fields, input, output } = tool,
    node = poolNode(tool),
    source = valueOf(node.inputs[0]),
    result = valueOf(chainEnd(tool.pools[state.pool])),
    limits = range(channel(source, state.map));
  tool.intro.textContent = `Pooling makes the map smaller and simpler: of each window of ${node.window.join(" × ")} it ${isMaxPool(tool) ? "keeps only the largest value" : "keeps the mean"}. Where a pattern is found matters less then; that it is found stays.`;
  Object.assign(fields.map.input, { max: node.shape[2] - 1, value: state.map });
  fields.row.input.max = node.shape[0] - 1;
  fields.column.input.max = node.shape[1] - 1;
  input.draw(channel(source, state.map), source.shape[0], source.shape[1], limits);
  output.draw(channel(result, state.map), node.shape[0], node.shape[1], limits);
  input.say([
    el("b", {}, `Before: map ${state.map}`),
    `${source.shape[0]} × ${source.shape[1]}. Click to place the window.`,
  ]);
  output.say([el("b", {}, "After"), `${node.shape[0]} × ${node.shape[1]}, same colours.`]);
  tool.grid = cells(...node.window, "Values under the window");
  tool.under.replaceChildren(tool.grid.grid);
  updatePooling(tool);
}
function updatePooling(tool) {
  /* for another place */
  const { state, fields, grid } = tool,
    node = poolNode(tool),
    { top, left, values } = valuesUnderPool(node, state),
    inside = values.filter((v) => v !== null),
    largest = Math.max(...inside);
  grid.set(values, heat);
  [...grid.grid.children].forEach((cell, i) => {
    cell.style.outline = i === values.indexOf(largest) && isMaxPool(tool) ? "3px solid #c2410c" : "";
  });
  tool.input.frame(top, left, ...node.window);
  tool.output.frame(state.row, state.column, 1, 1);
  tool.formula.textContent = pooledInWords(tool, inside, largest);
  fields.row.input.value = state.row;
  fields.column.input.value = state.column;
}
function valuesUnderPool(node, state) {
  /* row by row, null over the edge; and the place of the first */
  const source = valueOf(node.inputs[0]),
    [H, W, C] = source.shape,
    m = margins(node, source.shape),
    top = state.row * node.stride[0] - m[0],
    left = state.column * node.stride[1] - m[1],
    values = [];
  for (let y = top; y < top + node.window[0]; y++)
    for (let x = left; x < left + node.window[1]; x++)
      values.push(y >= 0 && x >= 0 && y < H && x < W ? source.values[(y * W + x) * C + state.map] : null);
  return { top, left, values };
}
function pooledInWords(tool, inside, largest) {
  const { pools, state } = tool,
    result = valueOf(chainEnd(pools[state.pool])),
    [, W, C] = result.shape,
    theirs = result.values[(state.row * W + state.column) * C + state.map];
  if (isMaxPool(tool))
    return `The largest of ${inside.length} values is ${num(largest)} (framed). The model has ${num(theirs)}; difference ${tiny(Math.abs(largest - theirs))}.`;
  const mean = inside.reduce((a, b) => a + b, 0) / inside.length;
  return `The mean of ${inside.length} values is ${num(mean)}. The model has ${num(theirs)}.`;
}
