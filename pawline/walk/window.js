/* The window: how a convolution slides over its input, and what becomes of the values under it. */
let goTo = () => {};
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
function windowLayout(parts) {
  const photo = data.picture.steps[data.picture.photo].image,
    sign = (text) => el("span", { "aria-hidden": "true" }, text),
    cellsWith = (one, caption) => el("figure", {}, one.grid, el("figcaption", {}, caption));
  const seen = el(
    "figure",
    {},
    el(
      "div",
      { class: "view" },
      el("img", { src: photo, alt: "The photograph with the part that this output pixel can see" }),
      parts.box,
    ),
    el("figcaption", {}, el("b", {}, "Receptive field"), "All that this one output pixel can see of the photograph."),
  );
  const sum = el(
    "div",
    { class: "sum" },
    cellsWith(parts.under, "under the window"),
    sign("×"),
    cellsWith(parts.kernel, "kernel (weights)"),
    sign("="),
    cellsWith(parts.products, "products"),
  );
  return [
    el("div", { class: "row two" }, seen, parts.input.figure, parts.output.figure, parts.overlap.figure),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Window, kernel and products" }, sum),
    parts.formula,
    parts.fine,
    parts.source.shape[2] > 1 && !parts.alone
      ? el("div", { class: "row two" }, parts.windows.figure, parts.kernels.figure, parts.sums.figure)
      : "",
  ];
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
function showWindow() {
  const host = byId("window-tool");
  if (!windowed.length) {
    host.append(el("p", {}, "The kernels of this network are too large for this page; make it with --full."));
    return;
  }
  const state = { step: 0, map: 0, row: 0, column: 0, input: 0, playing: false, speed: 6 };
  const start = () => Object.assign(state, { input: 0 }, liveliest(valueOf(chainEnd(windowed[state.step]))));
  start();
  let parts = {};
  const layer = choice(
    "Layer",
    windowed.map((s, i) => [i, title(nodes[s.chain[0]])]),
    (v) => {
      state.step = v;
      start();
      rebuild();
    },
  );
  const [map, row, column] = placeFields(
      state,
      () => redrawMap(),
      () => update(),
    ),
    input = wholeNumber("Input channel", state, "input", () => redrawInput());
  const play = playButton(state, () => requestAnimationFrame(frame));
  const step = (by) => () => {
    move(by);
    update();
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
  const stage = el("div");
  host.append(
    el("div", { class: "controls" }, layer.label, map.label, input.label, row.label, column.label),
    el(
      "div",
      { class: "controls" },
      play,
      button("Step back", step(-1)),
      button("Step", step(1)),
      button("To the start", () => {
        state.row = state.column = 0;
        update();
      }),
      el("label", {}, "Pixels per second", speed),
    ),
    stage,
  );
  const away = steps.filter((s) => slides(s) && !windowed.includes(s) && !mirrored[s.chain[0]]);
  if (away.length)
    host.append(
      el(
        "p",
        { class: "note" },
        `Left out for the page's size: the kernels of ${away.map((s) => s.name).join(", ")} (${(away.reduce((a, s) => a + (nodes[s.chain[0]].left_out || 0), 0) / 1e6).toFixed(1)} MB). Made with --full, the page has them.`,
      ),
    );
  const head = () => nodes[windowed[state.step].chain[0]];
  function move(by) {
    const [H, W] = head().shape,
      at = (state.row * W + state.column + by + H * W) % (H * W);
    state.row = Math.floor(at / W);
    state.column = at % W;
  }
  let before = 0,
    debt = 0;
  function frame(now) {
    if (!state.playing) {
      before = 0;
      return;
    }
    debt += before ? Math.min(0.2, (now - before) / 1000) * state.speed : 0;
    before = now;
    if (debt >= 1) {
      move(Math.floor(debt));
      debt %= 1;
      update(true);
    }
    frames.push(now);
    if (frames.length > 300) frames.shift();
    requestAnimationFrame(frame);
  }
  function rebuild() {
    const chosen = windowed[state.step],
      node = head(),
      source = valueOf(node.inputs[0]),
      [high, wide] = node.window,
      result = valueOf(chainEnd(chosen)),
      alone = node.kind === "depthwise"; /* each map has an input channel of its own */
    parts = {
      node,
      chosen,
      source,
      result,
      w: weightsOf(node),
      alone,
      box: el("div", { class: "box" }),
      input: view("", (y, x) => {
        const m = margins(node, source.shape);
        state.row = Math.min(node.shape[0] - 1, Math.round((y + m[0] - (high - 1) / 2) / node.stride[0]));
        state.column = Math.min(node.shape[1] - 1, Math.round((x + m[1] - (wide - 1) / 2) / node.stride[1]));
        state.row = Math.max(0, state.row);
        state.column = Math.max(0, state.column);
        update();
      }),
      output: view("", (y, x) => {
        state.row = y;
        state.column = x;
        update();
      }),
      overlap: view(""),
      sums: view("", (y, x) => chooseInput(y, x)),
      windows: view("", (y, x) => chooseInput(y / (high + 1), x / (wide + 1))),
      kernels: view("", (y, x) => chooseInput(y / (high + 1), x / (wide + 1))),
      under: cells(high, wide, "Values under the window"),
      kernel: cells(high, wide, "Kernel"),
      products: cells(high, wide, "Products"),
      formula: el("p", { class: "formula", id: "formula" }),
      fine: el("p", { class: "note" }),
    };
    drawUse(parts.overlap, node, source);
    parts.across = source.shape[2] <= 4 ? source.shape[2] : Math.ceil(Math.sqrt(source.shape[2]));
    stage.replaceChildren(...windowLayout(parts));
    Object.assign(map.input, { max: node.shape[2] - 1, value: state.map });
    Object.assign(input.input, { max: source.shape[2] - 1, value: state.input });
    row.input.max = node.shape[0] - 1;
    column.input.max = node.shape[1] - 1;
    input.label.hidden = source.shape[2] === 1 || alone;
    redrawInput(true);
    redrawMap();
  }
  function chooseInput(y, x) {
    state.input = Math.min(parts.source.shape[2] - 1, Math.floor(y) * parts.across + Math.floor(x));
    input.input.value = state.input;
    redrawInput();
  }
  function redrawInput(quiet) {
    const [H, W, C] = parts.source.shape;
    parts.input.draw(channel(parts.source, state.input), H, W, null, parts.node.inputs[0] < 0 || C <= 3 ? gray : heat);
    parts.input.say([
      el("b", {}, C === 1 ? "Input" : `Input, channel ${state.input} of 0 to ${C - 1}`),
      `${H} × ${W}${C === 1 ? "" : parts.alone ? ` × ${C} channels; each is taken by itself and makes one map` : ` × ${C} channels; the window covers all of them at once`}. Click to place the window. ${parts.node.shape[1] === 1 ? "" : parts.node.stride[1] < parts.node.window[1] ? "Shaded: the next window, which overlaps this one." : "Shaded: the next window."}`,
    ]);
    if (!quiet) update();
  }
  function redrawMap() {
    const [H, W] = parts.result.shape;
    if (parts.alone) {
      state.input = state.map;
      redrawInput(true);
    }
    parts.output.draw(channel(parts.result, state.map), H, W);
    parts.output.say([el("b", {}, `Output, feature map ${state.map}`), `${H} × ${W}. Click any pixel.`]);
    update();
  }
  function update(moving) {
    const { node, source, chosen, alone } = parts,
      [high, wide] = node.window,
      C = source.shape[2],
      found = windowInNumbers(parts, state);
    parts.under.set(found.under, C <= 3 ? gray : heat);
    parts.kernel.set(found.kernel, signed);
    parts.products.set(found.products, signed);
    parts.input.frame(found.top, found.left, high, wide);
    if (state.column + 1 < node.shape[1]) parts.input.shade(found.top, found.left + node.stride[1], high, wide);
    parts.output.frame(state.row, state.column, 1, 1);
    const [top, left, bottom, right] = onPhoto(fieldOf(chosen.chain[0], state.row, state.column));
    Object.assign(parts.box.style, {
      top: `${100 * top}%`,
      left: `${100 * left}%`,
      height: `${100 * (bottom - top)}%`,
      width: `${100 * (right - left)}%`,
    });
    parts.formula.textContent = pixelInWords(parts, state, found.sums);
    if (!moving)
      parts.fine.textContent = `Output pixel (${state.row}, ${state.column}).${found.outside ? " 0*: the window reaches over the edge, where zeros stand (padding)." : ""} Window ${high} × ${wide}, stride ${node.stride.join(" × ")}.`;
    if (C > 1 && !alone) {
      drawChannels(parts, state, found);
      if (!moving) sayChannels(parts, C);
    }
    row.input.value = state.row;
    column.input.value = state.column;
  }
  goTo = (numberOfStep, channelOfMap) => {
    const i = windowed.findIndex((s) => s === steps[numberOfStep]);
    if (i < 0) return false;
    state.step = i;
    start();
    if (channelOfMap !== state.map) {
      const values = channel(valueOf(chainEnd(windowed[i])), channelOfMap),
        at = values.indexOf(Math.max(...values)),
        W = head().shape[1];
      Object.assign(state, { map: channelOfMap, row: Math.floor(at / W), column: at % W });
    }
    layer.select.value = i;
    rebuild();
    byId("window").scrollIntoView();
    return true;
  };
  rebuild();
}
const frames = [];
