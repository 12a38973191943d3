/* Feature maps: all layers in order, the maps of one, and a closer look at one map. */
function showMaps() {
  const host = byId("maps-tool"),
    grid = el("div", { class: "maps" }),
    close = el("div", { class: "row two" }),
    said = el("p", { class: "note" });
  const state = {
    step: mapped.find((i) => !["scale", "mirror", "concatenate"].includes(steps[i].kind)) ?? mapped[0],
    map: 0,
    scale: 0,
  };
  state.map = liveliest(valueOf(chainEnd(steps[state.step]))).map;
  host.append(
    el(
      "div",
      { class: "strip", tabindex: 0, role: "region", "aria-label": "All layers in order" },
      ...steps.map((s) =>
        el(
          "span",
          {},
          el("b", {}, nodes[s.chain[0]].label),
          `${KIND[s.kind]}${
            s.chain.length > 1
              ? " + " +
                s.chain
                  .slice(1)
                  .map((i) => (nodes[i].kind === "activation" ? nodes[i].activation : nodes[i].kind))
                  .join(" + ")
              : ""
          }`,
          el("br"),
          nodes[chainEnd(s)].shape.join(" × "),
        ),
      ),
    ),
  );
  if (model.network.startsWith("fast"))
    host.append(
      el(
        "p",
        { class: "note" },
        "After training, the normalization of each convolution was folded into its kernel and bias: the same function, computed faster. An addition joins a block's result to its input, so that the block needs to learn only the difference.",
      ),
    );
  const layer = choice(
    "Layer",
    mapped.map((i) => [i, title(nodes[steps[i].chain[0]])]),
    (v) => {
      state.step = v;
      state.map = liveliest(valueOf(chainEnd(steps[v]))).map;
      draw();
    },
  );
  layer.select.value = state.step;
  const scale = choice(
    "Colour scale",
    [
      [0, "one for this layer"],
      [1, "one for all layers"],
      [2, "each map its own"],
    ],
    (v) => {
      state.scale = v;
      draw();
    },
  );
  host.append(el("div", { class: "controls" }, layer.label, scale.label), said, close, grid);
  const missing = steps.filter((s, i) => nodes[chainEnd(s)].shape.length === 3 && !mapped.includes(i));
  if (missing.length)
    host.append(
      el(
        "p",
        { class: "note" },
        `Left out for the page's size: the maps of ${missing.map((s) => nodes[s.chain[0]].label).join(", ")}. The check at the end compares 256 values of each.`,
      ),
    );
  let all = null;
  function limits(maps, c) {
    if (state.scale === 2) return range(channel(maps, c));
    if (state.scale === 0) return range(maps.values);
    return (all ||= mapped
      .map((i) => range(valueOf(chainEnd(steps[i])).values))
      .reduce(([a, b], [c2, d]) => [Math.min(a, c2), Math.max(b, d)]));
  }
  function draw() {
    const end = chainEnd(steps[state.step]),
      maps = valueOf(end),
      [H, W, C] = maps.shape;
    const [low, high] = limits(maps, state.map),
      ramp = el("canvas", { class: "ramp", role: "img", "aria-label": "Colour scale, low to high" });
    paint(
      ramp,
      Float64Array.from({ length: 64 }, (_, i) => i),
      1,
      64,
      [0, 63],
    );
    said.replaceChildren(
      `${C} ${C === 1 ? "map" : "maps"} of ${H} × ${W}. Colours: ${num(low, 2)}`,
      ramp,
      num(high, 2),
      nodes[end].values ? "" : ". Shown in 256 levels, to keep the page small",
    );
    grid.replaceChildren(
      ...Array.from({ length: C }, (_, c) => {
        const canvas = el("canvas", { "aria-hidden": "true" });
        paint(canvas, channel(maps, c), H, W, limits(maps, c));
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
              closer();
            },
          },
          canvas,
          String(c),
        );
      }),
    );
    closer();
  }
  function closer() {
    const end = chainEnd(steps[state.step]),
      maps = valueOf(end),
      [H, W] = maps.shape,
      big = view(""),
      values = channel(maps, state.map);
    big.draw(values, H, W, limits(maps, state.map));
    const [low, high] = range(values);
    big.say([
      el("b", {}, `${nodes[steps[state.step].chain[0]].label}, map ${state.map}`),
      `From ${num(low)} to ${num(high)}; ${percent(values.filter((v) => v > 0).length / values.length)} of its pixels are above zero.`,
    ]);
    const canWalk = windowed.includes(steps[state.step]),
      found = data.exciting?.layers[end]?.[state.map];
    const side = el(
      "div",
      {},
      canWalk ? button("Follow its window", () => goTo(state.step, state.map)) : "",
    );
    if (found?.length)
      side.append(
        el("h3", {}, "Training pictures that excite it most"),
        el(
          "p",
          { class: "note" },
          `Of ${data.exciting.num_pictures} pictures from the train part, those in which this map has its largest value.`,
        ),
        el(
          "div",
          { class: "thumbs" },
          ...found.map((place) => el("img", { src: data.exciting.pictures[place], alt: "A training picture" })),
        ),
      );
    close.replaceChildren(big.figure, side);
  }
  draw();
}
