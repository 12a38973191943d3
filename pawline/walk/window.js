/* The window: how a convolution slides over its input, and what becomes of the values under it. */
const frames = []; /* the times at which the window was drawn last while it played */
let goTo = () => {}; /* shows the window of a step and a map, where there is one: the maps' section calls it */
function showWindow() {
  const host = byId("window-tool");
  if (!windowed.length) {
    host.append(el("p", {}, "The kernels of this network are too large for this page; make it with --full."));
    return;
  }
  const tool = {
    state: { step: 0, map: 0, row: 0, column: 0, input: 0, playing: false, speed: 6 },
    clock: { before: 0, debt: 0 } /* the time of the last frame; the share of a pixel that is still to be moved */,
    stage: el("div"),
  };
  chooseLiveliest(tool.state);
  tool.fields = windowFields(tool);
  const { layer, map, input, row, column } = tool.fields;
  host.append(
    el("div", { class: "controls" }, layer.label, map.label, input.label, row.label, column.label),
    el("div", { class: "controls" }, ...windowButtons(tool)),
    tool.stage,
    ...kernelsLeftOut(),
  );
  goTo = (numberOfStep, numberOfMap) => followWindow(tool, numberOfStep, numberOfMap);
  rebuildWindow(tool);
}
function chooseLiveliest(state) {
  Object.assign(state, { input: 0 }, liveliest(valueOf(chainEnd(windowed[state.step]))));
}
const windowNode = (state) => nodes[windowed[state.step].chain[0]];
function windowFields(tool) {
  const { state } = tool;
  const layer = choice(
    "Layer",
    windowed.map((s, i) => [i, title(nodes[s.chain[0]])]),
    (v) => {
      state.step = v;
      chooseLiveliest(state);
      rebuildWindow(tool);
    },
  );
  const [map, row, column] = placeFields(
      state,
      () => redrawMap(tool),
      () => updateWindow(tool),
    ),
    input = wholeNumber("Input channel", state, "input", () => redrawInput(tool));
  return { layer, map, row, column, input };
}
function windowButtons(tool) {
  const { state } = tool;
  const step = (by) => () => {
    movePlace(state, windowNode(state).shape, by);
    updateWindow(tool);
  };
  const toStart = () => {
    state.row = state.column = 0;
    updateWindow(tool);
  };
  const speed = el("input", {
    type: "range",
    min: 1,
    max: 60,
    value: 6,
    oninput: () => {
      state.speed = Number(speed.value);
    },
  });
  return [
    playButton(state, () => requestAnimationFrame((now) => playFrame(tool, now))),
    button("Step back", step(-1)),
    button("Step", step(1)),
    button("To the start", toStart),
    el("label", {}, "Pixels per second", speed),
  ];
}
function kernelsLeftOut() {
  const away = steps.filter((s) => slides(s) && !windowed.includes(s) && !mirrored[s.chain[0]]);
  if (!away.length) return [];
  return [
    el(
      "p",
      { class: "note" },
      `Left out for the page's size: the kernels of ${away.map((s) => s.name).join(", ")} (${(away.reduce((a, s) => a + (nodes[s.chain[0]].left_out || 0), 0) / 1e6).toFixed(1)} MB). Made with --full, the page has them.`,
    ),
  ];
}
function playFrame(tool, now) {
  const { state, clock } = tool;
  if (!state.playing) {
    clock.before = 0;
    return;
  }
  clock.debt += clock.before ? Math.min(0.2, (now - clock.before) / 1000) * state.speed : 0;
  clock.before = now;
  if (clock.debt >= 1) {
    movePlace(state, windowNode(state).shape, Math.floor(clock.debt));
    clock.debt %= 1;
    updateWindow(tool, true);
  }
  frames.push(now);
  if (frames.length > 300) frames.shift();
  requestAnimationFrame((next) => playFrame(tool, next));
}
function rebuildWindow(tool) {
  /* for another layer */
  const { state, fields } = tool,
    parts = windowParts(tool),
    { node, source } = parts;
  tool.parts = parts;
  drawUse(parts.overlap, node, source);
  tool.stage.replaceChildren(...windowLayout(parts));
  Object.assign(fields.map.input, { max: node.shape[2] - 1, value: state.map });
  Object.assign(fields.input.input, { max: source.shape[2] - 1, value: state.input });
  fields.row.input.max = node.shape[0] - 1;
  fields.column.input.max = node.shape[1] - 1;
  fields.input.label.hidden = source.shape[2] === 1 || parts.alone;
  redrawInput(tool, true);
  redrawMap(tool);
}
function windowParts(tool) {
  /* what belongs to one layer: its numbers, and the elements that show them */
  const chosen = windowed[tool.state.step],
    node = windowNode(tool.state),
    source = valueOf(node.inputs[0]),
    [high, wide] = node.window,
    C = source.shape[2],
    chooseTile = (y, x) => chooseInput(tool, y / (high + 1), x / (wide + 1));
  return {
    node,
    chosen,
    source,
    result: valueOf(chainEnd(chosen)),
    w: weightsOf(node),
    alone: node.kind === "depthwise" /* each map has an input channel of its own */,
    across: C <= 4 ? C : Math.ceil(Math.sqrt(C)),
    box: el("div", { class: "box" }),
    input: view("", (y, x) => centreWindow(tool, y, x)),
    output: view("", (row, column) => placeWindow(tool, row, column)),
    overlap: view(""),
    sums: view("", (y, x) => chooseInput(tool, y, x)),
    windows: view("", chooseTile),
    kernels: view("", chooseTile),
    under: cells(high, wide, "Values under the window"),
    kernel: cells(high, wide, "Kernel"),
    products: cells(high, wide, "Products"),
    formula: el("p", { class: "formula", id: "formula" }),
    fine: el("p", { class: "note" }),
  };
}
function centreWindow(tool, y, x) {
  /* over a pixel of the input, or as near as it goes */
  const { node, source } = tool.parts,
    m = margins(node, source.shape);
  const [row, column] = [y, x].map((at, axis) => {
    const nearest = Math.round((at + m[axis] - (node.window[axis] - 1) / 2) / node.stride[axis]);
    return Math.max(0, Math.min(node.shape[axis] - 1, nearest));
  });
  placeWindow(tool, row, column);
}
function placeWindow(tool, row, column) {
  Object.assign(tool.state, { row, column });
  updateWindow(tool);
}
function chooseInput(tool, y, x) {
  const { state, fields, parts } = tool;
  state.input = Math.min(parts.source.shape[2] - 1, Math.floor(y) * parts.across + Math.floor(x));
  fields.input.input.value = state.input;
  redrawInput(tool);
}
function windowLayout(parts) {
  return [
    el(
      "div",
      { class: "row two" },
      receptiveField(parts.box),
      parts.input.figure,
      parts.output.figure,
      parts.overlap.figure,
    ),
    sumOfProducts(parts),
    parts.formula,
    parts.fine,
    parts.source.shape[2] > 1 && !parts.alone
      ? el("div", { class: "row two" }, parts.windows.figure, parts.kernels.figure, parts.sums.figure)
      : "",
  ];
}
function receptiveField(box) {
  const photo = data.picture.steps[data.picture.photo].image;
  return el(
    "figure",
    {},
    el(
      "div",
      { class: "view" },
      el("img", { src: photo, alt: "The photograph with the part that this output pixel can see" }),
      box,
    ),
    el("figcaption", {}, el("b", {}, "Receptive field"), "All that this one output pixel can see of the photograph."),
  );
}
function sumOfProducts(parts) {
  const sign = (text) => el("span", { "aria-hidden": "true" }, text),
    cellsWith = (one, caption) => el("figure", {}, one.grid, el("figcaption", {}, caption));
  const sum = el(
    "div",
    { class: "sum" },
    cellsWith(parts.under, "under the window"),
    sign("×"),
    cellsWith(parts.kernel, "kernel (weights)"),
    sign("="),
    cellsWith(parts.products, "products"),
  );
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Window, kernel and products" }, sum);
}
function drawUse(one, node, source) {
  /* how many windows lie over each pixel */
  const [H, W] = source.shape,
    counts = new Float64Array(H * W);
  overWindows(node, source, (r, c, y0, x0) => {
    for (let y = Math.max(0, y0); y < Math.min(H, y0 + node.window[0]); y++)
      for (let x = Math.max(0, x0); x < Math.min(W, x0 + node.window[1]); x++) counts[y * W + x]++;
  });
  const least = counts.reduce((a, b) => Math.min(a, b)),
    most = counts.reduce((a, b) => Math.max(a, b));
  one.draw(counts, H, W, [0, most]);
  one.say([
    el("b", {}, "How often each pixel is used"),
    least > 0
      ? `Each pixel lies under ${least === most ? most : `${least} to ${most}`} ${most === 1 ? "window" : "windows"}. None is skipped.`
      : `${counts.filter((v) => v === 0).length} pixels at the edge lie under no window.`,
  ]);
}
function redrawInput(tool, quiet) {
  const { state, parts } = tool,
    [H, W, C] = parts.source.shape;
  parts.input.draw(channel(parts.source, state.input), H, W, null, parts.node.inputs[0] < 0 || C <= 3 ? gray : heat);
  parts.input.say([
    el("b", {}, C === 1 ? "Input" : `Input, channel ${state.input} of 0 to ${C - 1}`),
    `${H} × ${W}${C === 1 ? "" : parts.alone ? ` × ${C} channels; each is taken by itself and makes one map` : ` × ${C} channels; the window covers all of them at once`}. Click to place the window. ${parts.node.shape[1] === 1 ? "" : parts.node.stride[1] < parts.node.window[1] ? "Shaded: the next window, which overlaps this one." : "Shaded: the next window."}`,
  ]);
  if (!quiet) updateWindow(tool);
}
function redrawMap(tool) {
  const { state, parts } = tool,
    [H, W] = parts.result.shape;
  if (parts.alone) {
    state.input = state.map;
    redrawInput(tool, true);
  }
  parts.output.draw(channel(parts.result, state.map), H, W);
  parts.output.say([el("b", {}, `Output, feature map ${state.map}`), `${H} × ${W}. Click any pixel.`]);
  updateWindow(tool);
}
function updateWindow(tool, moving) {
  /* for another place; the words below are not written at each frame while the window plays */
  const { state, fields, parts } = tool,
    { node, source } = parts,
    numbers = windowInNumbers(parts, state);
  drawWindow(parts, state, numbers);
  parts.formula.textContent = pixelInWords(parts, state, numbers.sums);
  if (!moving)
    parts.fine.textContent = `Output pixel (${state.row}, ${state.column}).${numbers.outside ? " 0*: the window reaches over the edge, where zeros stand (padding)." : ""} Window ${node.window.join(" × ")}, stride ${node.stride.join(" × ")}.`;
  if (source.shape[2] > 1 && !parts.alone) {
    drawChannels(parts, state, numbers);
    if (!moving) sayChannels(parts, source.shape[2]);
  }
  fields.row.input.value = state.row;
  fields.column.input.value = state.column;
}
function drawWindow(parts, state, numbers) {
  /* its values, weights and products; its place in the input, in the output and in the photograph */
  const { node, source, chosen } = parts,
    [high, wide] = node.window;
  parts.under.set(numbers.under, source.shape[2] <= 3 ? gray : heat);
  parts.kernel.set(numbers.kernel, signed);
  parts.products.set(numbers.products, signed);
  parts.input.frame(numbers.top, numbers.left, high, wide);
  if (state.column + 1 < node.shape[1]) parts.input.shade(numbers.top, numbers.left + node.stride[1], high, wide);
  parts.output.frame(state.row, state.column, 1, 1);
  const [top, left, bottom, right] = onPhoto(fieldOf(chosen.chain[0], state.row, state.column));
  Object.assign(parts.box.style, {
    top: `${100 * top}%`,
    left: `${100 * left}%`,
    height: `${100 * (bottom - top)}%`,
    width: `${100 * (right - left)}%`,
  });
}
function drawChannels(parts, state, { sums, everyValue, everyWeight }) {
  /* the window, the kernel and the sums of all input channels */
  const { across, node, source } = parts,
    [high, wide] = node.window,
    C = source.shape[2],
    down = Math.ceil(C / across),
    row = Math.floor(state.input / across),
    column = state.input % across,
    square = new Float64Array(down * across);
  square.set(sums);
  parts.sums.draw(square, down, across, range(sums), signed);
  parts.sums.frame(row, column, 1, 1);
  for (const [one, values, color] of [
    [parts.windows, everyValue, C <= 3 ? gray : heat],
    [parts.kernels, everyWeight, signed],
  ]) {
    paintTiles(one.canvas, values, high, wide, C, across, color);
    one.frame(row * (high + 1), column * (wide + 1), high, wide);
  }
}
function sayChannels(parts, C) {
  parts.windows.say([
    el("b", {}, `The window on all ${C} channels`),
    "Each small square is what lies under the window on one channel. Click one to see its numbers.",
  ]);
  parts.kernels.say([
    el("b", {}, `This map's kernel, all ${C} channels`),
    "A square of weights for each channel: green adds, orange takes away.",
  ]);
  parts.sums.say([
    el("b", {}, `What each of the ${C} channels adds`),
    "Green adds, orange takes away; white is zero. Click one to see its products.",
  ]);
}
function followWindow(tool, numberOfStep, map) {
  /* false where the step has no window to follow */
  const { state, fields } = tool,
    i = windowed.findIndex((s) => s === steps[numberOfStep]);
  if (i < 0) return false;
  state.step = i;
  chooseLiveliest(state);
  if (map !== state.map) {
    const values = channel(valueOf(chainEnd(windowed[i])), map),
      at = values.indexOf(Math.max(...values)),
      W = windowNode(state).shape[1];
    Object.assign(state, { map, row: Math.floor(at / W), column: at % W });
  }
  fields.layer.select.value = i;
  rebuildWindow(tool);
  byId("window").scrollIntoView();
  return true;
}
