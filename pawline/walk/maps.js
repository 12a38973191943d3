/* Feature maps: all layers in order, the maps of one, and a closer look at one map. */
const ONE_FOR_LAYER = 0,
  ONE_FOR_ALL = 1,
  EACH_ITS_OWN = 2;
function showMaps() {
  const host = byId("maps-tool"),
    shown = mapped.find((i) => !["scale", "mirror", "concatenate"].includes(steps[i].kind)) ?? mapped[0];
  const tool = {
    state: { step: shown, map: liveliest(mapsOf(shown)).map, scale: ONE_FOR_LAYER },
    legend: el("p", { class: "note" }),
    closeUp: el("div", { class: "row two" }),
    grid: el("div", { class: "maps" }),
    rangeOfAll: null /* computed when it is first asked for: that takes a while in a large network */,
  };
  host.append(
    layerStrip(),
    ...foldedNormalization(),
    el("div", { class: "controls" }, ...mapChoices(tool)),
    tool.legend,
    tool.closeUp,
    tool.grid,
    ...mapsLeftOut(),
  );
  drawMaps(tool);
}
const mapsOf = (numberOfStep) => valueOf(chainEnd(steps[numberOfStep]));
function layerStrip() {
  return el(
    "div",
    { class: "strip", tabindex: 0, role: "region", "aria-label": "All layers in order" },
    ...steps.map((s) =>
      el(
        "span",
        {},
        el("b", {}, nodes[s.chain[0]].label),
        kindsInWords(s),
        el("br"),
        nodes[chainEnd(s)].shape.join(" × "),
      ),
    ),
  );
}
function kindsInWords(step) {
  const others = step.chain.slice(1).map((i) => nodes[i]);
  return [KIND[step.kind], ...others.map((n) => (n.kind === "activation" ? n.activation : n.kind))].join(" + ");
}
function foldedNormalization() {
  if (!model.network.startsWith("fast")) return [];
  return [
    el(
      "p",
      { class: "note" },
      "After training, the normalization of each convolution was folded into its kernel and bias: the same function, computed faster. An addition joins a block's result to its input, so that the block needs to learn only the difference.",
    ),
  ];
}
function mapChoices(tool) {
  const { state } = tool;
  const layer = choice(
    "Layer",
    mapped.map((i) => [i, title(nodes[steps[i].chain[0]])]),
    (v) => {
      state.step = v;
      state.map = liveliest(mapsOf(v)).map;
      drawMaps(tool);
    },
  );
  layer.select.value = state.step;
  const scale = choice(
    "Colour scale",
    [
      [ONE_FOR_LAYER, "one for this layer"],
      [ONE_FOR_ALL, "one for all layers"],
      [EACH_ITS_OWN, "each map its own"],
    ],
    (v) => {
      state.scale = v;
      drawMaps(tool);
    },
  );
  return [layer.label, scale.label];
}
function mapsLeftOut() {
  const missing = steps.filter((s, i) => nodes[chainEnd(s)].shape.length === 3 && !mapped.includes(i));
  if (!missing.length) return [];
  return [
    el(
      "p",
      { class: "note" },
      `Left out for the page's size: the maps of ${missing.map((s) => nodes[s.chain[0]].label).join(", ")}. The check at the end compares 256 values of each.`,
    ),
  ];
}
function colourLimits(tool, maps, c) {
  /* the values with the lowest and the highest colour in map c */
  const { scale } = tool.state;
  if (scale === EACH_ITS_OWN) return range(channel(maps, c));
  if (scale === ONE_FOR_LAYER) return range(maps.values);
  return (tool.rangeOfAll ||= mapped
    .map((i) => range(mapsOf(i).values))
    .reduce(([low, high], [otherLow, otherHigh]) => [Math.min(low, otherLow), Math.max(high, otherHigh)]));
}
function drawMaps(tool) {
  const { state, grid } = tool,
    maps = mapsOf(state.step);
  writeLegend(tool, maps);
  grid.replaceChildren(...Array.from({ length: maps.shape[2] }, (_, c) => mapButton(tool, maps, c)));
  drawMapCloser(tool);
}
function writeLegend(tool, maps) {
  const [H, W, C] = maps.shape,
    [low, high] = colourLimits(tool, maps, tool.state.map),
    ramp = el("canvas", { class: "ramp", role: "img", "aria-label": "Colour scale, low to high" });
  paint(
    ramp,
    Float64Array.from({ length: 64 }, (_, i) => i),
    1,
    64,
    [0, 63],
  );
  tool.legend.replaceChildren(
    `${C} ${C === 1 ? "map" : "maps"} of ${H} × ${W}. Colours: ${num(low, 2)}`,
    ramp,
    num(high, 2),
    nodes[chainEnd(steps[tool.state.step])].values ? "" : ". Shown in 256 levels, to keep the page small",
  );
}
function mapButton(tool, maps, c) {
  const { state, grid } = tool,
    [H, W] = maps.shape,
    canvas = el("canvas", { "aria-hidden": "true" });
  paint(canvas, channel(maps, c), H, W, colourLimits(tool, maps, c));
  return el(
    "button",
    {
      type: "button",
      "aria-pressed": c === state.map ? "true" : "false",
      "aria-label": `Map ${c}`,
      onclick: (e) => {
        state.map = c;
        grid.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", "false"));
        e.currentTarget.setAttribute("aria-pressed", "true");
        drawMapCloser(tool);
      },
    },
    canvas,
    String(c),
  );
}
function drawMapCloser(tool) {
  const { state, closeUp } = tool,
    maps = mapsOf(state.step),
    [H, W] = maps.shape,
    big = view(""),
    values = channel(maps, state.map),
    [low, high] = range(values);
  big.draw(values, H, W, colourLimits(tool, maps, state.map));
  big.say([
    el("b", {}, `${nodes[steps[state.step].chain[0]].label}, map ${state.map}`),
    `From ${num(low)} to ${num(high)}; ${percent(values.filter((v) => v > 0).length / values.length)} of its pixels are above zero.`,
  ]);
  const side = el(
    "div",
    {},
    windowed.includes(steps[state.step]) ? button("Follow its window", () => goTo(state.step, state.map)) : "",
    ...excitingPictures(state),
  );
  closeUp.replaceChildren(big.figure, side);
}
function excitingPictures(state) {
  const places = data.exciting?.layers[chainEnd(steps[state.step])]?.[state.map];
  if (!places?.length) return [];
  return [
    el("h3", {}, "Training pictures that excite it most"),
    el(
      "p",
      { class: "note" },
      `Of ${data.exciting.num_pictures} pictures from the train part, those in which this map has its largest value.`,
    ),
    el(
      "div",
      { class: "thumbs" },
      ...places.map((place) => el("img", { src: data.exciting.pictures[place], alt: "A training picture" })),
    ),
  ];
}
