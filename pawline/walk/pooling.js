/* Pooling: how a window becomes its largest value, or its mean. */
function showPooling() {
  const host = byId("pooling-tool"),
    pools = steps.filter((s) => ["max_pooling", "average_pooling"].includes(s.kind));
  if (!pools.length) {
    const global = steps.findLast((s) => s.kind === "global_average");
    host.append(
      el(
        "p",
        {},
        global
          ? `This network has no max pooling: its convolutions take strides of 2 instead, so that the maps shrink. At the end, global average pooling (${nodes[global.chain[0]].name}) keeps one number of each map: its mean.`
          : "This network has no pooling.",
      ),
    );
    return;
  }
  const state = { pool: 0, map: 0, row: 0, column: 0, playing: false },
    input = view("", (y, x) => {
      const n = nodes[pools[state.pool].chain[0]];
      state.row = Math.min(n.shape[0] - 1, Math.floor(y / n.stride[0]));
      state.column = Math.min(n.shape[1] - 1, Math.floor(x / n.stride[1]));
      update();
    }),
    output = view("", (y, x) => {
      state.row = y;
      state.column = x;
      update();
    });
  Object.assign(state, liveliest(valueOf(chainEnd(pools[0]))));
  const said = el("p", { class: "formula" }),
    under = el("div");
  const what = () => (pools[state.pool].kind === "max_pooling" ? "keeps only the largest value" : "keeps the mean");
  const layer = choice(
    "Layer",
    pools.map((s, i) => [i, title(nodes[s.chain[0]])]),
    (v) => {
      Object.assign(state, { pool: v }, liveliest(valueOf(chainEnd(pools[v]))));
      draw();
    },
  );
  const [map, row, column] = placeFields(
    state,
    () => draw(),
    () => update(),
  );
  const move = (by) => {
    const n = nodes[pools[state.pool].chain[0]],
      total = n.shape[0] * n.shape[1],
      at = (state.row * n.shape[1] + state.column + by + total) % total;
    state.row = Math.floor(at / n.shape[1]);
    state.column = at % n.shape[1];
    update();
  };
  const play = playButton(state, () => {
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
  });
  const intro = el("p"),
    holder = el("div", { class: "row two" }, input.figure, output.figure);
  host.append(
    intro,
    el(
      "div",
      { class: "controls" },
      layer.label,
      map.label,
      row.label,
      column.label,
      play,
      button("Step back", () => move(-1)),
      button("Step", () => move(1)),
    ),
    holder,
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "The values under the pooling window" },
      under,
    ),
    said,
  );
  let grid = null;
  function draw() {
    const node = nodes[pools[state.pool].chain[0]],
      source = valueOf(node.inputs[0]),
      result = valueOf(pools[state.pool].chain.at(-1)),
      limits = range(channel(source, state.map));
    intro.textContent = `Pooling makes the map smaller and simpler: of each window of ${node.window.join(" × ")} it ${what()}. Where a pattern is found matters less then; that it is found stays.`;
    map.input.max = node.shape[2] - 1;
    row.input.max = node.shape[0] - 1;
    column.input.max = node.shape[1] - 1;
    map.input.value = state.map;
    input.draw(channel(source, state.map), source.shape[0], source.shape[1], limits);
    output.draw(channel(result, state.map), node.shape[0], node.shape[1], limits);
    input.say([
      el("b", {}, `Before: map ${state.map}`),
      `${source.shape[0]} × ${source.shape[1]}. Click to place the window.`,
    ]);
    output.say([el("b", {}, "After"), `${node.shape[0]} × ${node.shape[1]}, same colours.`]);
    grid = cells(...node.window, "Values under the window");
    under.replaceChildren(grid.grid);
    update();
  }
  function update() {
    const node = nodes[pools[state.pool].chain[0]],
      source = valueOf(node.inputs[0]),
      [H, W, C] = source.shape,
      m = margins(node, source.shape),
      y0 = state.row * node.stride[0] - m[0],
      x0 = state.column * node.stride[1] - m[1],
      values = [];
    for (let i = 0; i < node.window[0]; i++)
      for (let j = 0; j < node.window[1]; j++) {
        const y = y0 + i,
          x = x0 + j;
        values.push(y >= 0 && x >= 0 && y < H && x < W ? source.values[(y * W + x) * C + state.map] : null);
      }
    grid.set(values, heat);
    const inside = values.filter((v) => v !== null),
      best = Math.max(...inside),
      place = values.indexOf(best),
      theirs = valueOf(pools[state.pool].chain.at(-1)).values[
        (state.row * node.shape[1] + state.column) * C + state.map
      ];
    [...grid.grid.children].forEach((cell, i) => {
      cell.style.outline = i === place && pools[state.pool].kind === "max_pooling" ? "3px solid #c2410c" : "";
    });
    input.frame(y0, x0, ...node.window);
    output.frame(state.row, state.column, 1, 1);
    const ours = pools[state.pool].kind === "max_pooling" ? best : inside.reduce((a, b) => a + b, 0) / inside.length;
    said.textContent =
      pools[state.pool].kind === "max_pooling"
        ? `The largest of ${inside.length} values is ${num(ours)} (framed). The model has ${num(theirs)}; difference ${tiny(Math.abs(ours - theirs))}.`
        : `The mean of ${inside.length} values is ${num(ours)}. The model has ${num(theirs)}.`;
    row.input.value = state.row;
    column.input.value = state.column;
  }
  draw();
}
