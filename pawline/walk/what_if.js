/* What if? A weight of the model, or the size and the step of a window, changed by the reader. */
function showWhatIf() {
  const host = byId("what-if-tool"),
    editable = windowed.filter((s) => !mirrored[s.chain[0]]);
  if (editable.length) changeWeight(host, editable);
  changeWindow(host);
}
function changeWeight(host, editable) {
  const state = { step: 0, map: liveliest(valueOf(chainEnd(editable[0]))).map, channel: 0 },
    before = view(""),
    after = view(""),
    inputs = el("div", { class: "grid weights", role: "group", "aria-label": "Weights of the kernel" }),
    result = el("div", { "aria-live": "polite" });
  after.figure.classList.add("yours");
  let own = null;
  const layer = choice(
      "Layer",
      editable.map((s, i) => [i, title(nodes[s.chain[0]])]),
      (v) => {
        Object.assign(state, { step: v, map: liveliest(valueOf(chainEnd(editable[v]))).map, channel: 0 });
        reset();
      },
    ),
    map = number("Feature map", 0, 0, 0, (v) => {
      state.map = Math.round(v);
      edit();
      draw();
    }),
    input = number("Input channel", 0, 0, 0, (v) => {
      state.channel = Math.round(v);
      edit();
    });
  host.append(
    el("h3", {}, "Change a weight"),
    el(
      "div",
      { class: "controls" },
      layer.label,
      map.label,
      input.label,
      button("Back to the model", () => reset()),
      button("Turn the signs", () => each((i) => -own.kernel[i])),
      button("All zero", () => each(() => 0)),
    ),
    el(
      "div",
      { class: "kernel-row" },
      el(
        "figure",
        {},
        el(
          "div",
          { class: "scroll", tabindex: 0, role: "region", "aria-label": "The kernel's weights, to edit" },
          inputs,
        ),
        el("figcaption", {}, "The weights of this kernel for this channel"),
      ),
      before.figure,
      after.figure,
    ),
    result,
  );
  const node = () => nodes[editable[state.step].chain[0]],
    at = (i, j) => {
      const [, wide, C] = node().sizes.kernel,
        place = (i * wide + j) * C;
      return node().kind === "depthwise" ? place + state.map : (place + state.channel) * node().shape[2] + state.map;
    };
  function each(change) {
    for (let i = 0; i < node().window[0]; i++)
      for (let j = 0; j < node().window[1]; j++) own.kernel[at(i, j)] = change(at(i, j));
    edit();
    later();
  }
  function reset() {
    const w = weightsOf(node());
    own = { kernel: Float32Array.from(w.kernel), bias: Float32Array.from(w.bias) };
    Object.assign(map.input, { max: node().shape[2] - 1, value: state.map });
    Object.assign(input.input, { max: node().sizes.kernel[2] - 1, value: state.channel });
    input.label.hidden = node().sizes.kernel[2] === 1 || node().kind === "depthwise";
    edit();
    draw();
  }
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(draw, 120);
  };
  function edit() {
    const [high, wide] = node().window;
    inputs.style.gridTemplateColumns = `repeat(${wide}, minmax(2.9rem, 1fr))`;
    inputs.style.width = `min(100%, ${4.6 * wide}rem)`;
    inputs.replaceChildren(
      ...Array.from({ length: high * wide }, (_, q) => {
        const i = Math.floor(q / wide),
          j = q % wide,
          one = el("input", {
            type: "number",
            step: 0.05,
            value: own.kernel[at(i, j)].toFixed(3),
            "aria-label": `Weight in row ${i}, column ${j}`,
            oninput: () => {
              if (one.value !== "" && Number.isFinite(Number(one.value))) {
                own.kernel[at(i, j)] = Number(one.value);
                later();
              }
            },
          });
        one.style.width = "100%";
        return one;
      }),
    );
  }
  function draw() {
    const end = chainEnd(editable[state.step]),
      [H, W] = nodes[end].shape,
      { fresh, stopped } = rerun(node(), own);
    const old = channel(valueOf(end), state.map),
      now = channel(fresh.get(end), state.map),
      a = range(old),
      b = range(now),
      limits = [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
    before.draw(old, H, W, limits);
    after.draw(now, H, W, limits);
    before.say([el("b", {}, "The model's map"), `${num(a[0])} to ${num(a[1])}`]);
    after.say([el("b", {}, "Yours"), `${num(b[0])} to ${num(b[1])}, same colours`]);
    after.figure.dataset.changed = own.kernel.some((v, i) => v !== weightsOf(node()).kernel[i]) ? "yes" : "no";
    const last = fresh.get(nodes.length - 1);
    if (!last) {
      result.replaceChildren(
        el(
          "p",
          { class: "note" },
          `The change is computed up to “${nodes[stopped].name}”, whose ${(nodes[stopped].left_out / 1e6).toFixed(1)} MB of weights are not in this page. Make it with --full, and it reaches the answer.`,
        ),
      );
      return;
    }
    result.replaceChildren(answerBeforeAndNow(last.values));
  }
  reset();
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
function changeWindow(host) {
  const state = { window: 3, stride: 1, kind: 0, top: 0, left: 0, side: size },
    input = view(""),
    output = view(""),
    cover = view(""),
    said = el("p", { class: "formula" });
  const redo = (key) => (v) => {
    state[key] = Math.round(v);
    draw();
  };
  host.append(
    el("h3", {}, "Change the window on a patch of your picture"),
    el(
      "div",
      { class: "controls" },
      choice(
        "Kernel",
        [
          [0, "mean"],
          [1, "largest value"],
          [2, "left minus right"],
          [3, "top minus bottom"],
        ],
        (v) => {
          state.kind = v;
          draw();
        },
      ).label,
      number("Window", 1, Math.min(9, size), 3, redo("window")).label,
      number("Stride", 1, 12, 1, redo("stride")).label,
      number("Patch: top", 0, size - 1, 0, redo("top")).label,
      number("Patch: left", 0, size - 1, 0, redo("left")).label,
      number("Patch: side", 4, size, size, redo("side")).label,
    ),
    el("div", { class: "row two" }, input.figure, output.figure, cover.figure),
    said,
  );
  function draw() {
    const { window: k, stride: s, kind } = state,
      side = Math.max(k, Math.min(state.side, size - Math.max(state.top, state.left))),
      top = Math.min(state.top, size - side),
      left = Math.min(state.left, size - side),
      out = Math.floor((side - k) / s) + 1,
      values = new Float64Array(out * out),
      patch = new Float64Array(side * side),
      counts = new Float64Array(side * side);
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) patch[y * side + x] = picture.values[((top + y) * size + left + x) * channels];
    for (let r = 0; r < out; r++)
      for (let c = 0; c < out; c++) {
        let sum = 0,
          most = -Infinity;
        for (let i = 0; i < k; i++)
          for (let j = 0; j < k; j++) {
            const p = (r * s + i) * side + c * s + j,
              v = patch[p],
              sign = kind === 2 ? Math.sign((k - 1) / 2 - j) : kind === 3 ? Math.sign((k - 1) / 2 - i) : 1;
            counts[p]++;
            sum += sign * v;
            most = Math.max(most, v);
          }
        values[r * out + c] = kind === 1 ? most : sum / (k * k);
      }
    const missed = counts.filter((v) => v === 0).length;
    input.draw(patch, side, side, [0, 255], gray);
    output.draw(values, out, out, range(values), kind > 1 ? signed : heat);
    cover.draw(counts, side, side, [0, Math.max(...counts)]);
    input.say([el("b", {}, "Your patch"), `${side} × ${side}${channels > 1 ? ", its red values" : ""}`]);
    output.say([el("b", {}, "The map"), `${out} × ${out}`]);
    cover.say([
      el("b", {}, "Windows over each pixel"),
      missed ? `${missed} pixels lie under no window` : `${Math.min(...counts)} to ${Math.max(...counts)}`,
    ]);
    said.textContent = `(${side} − ${k}) / ${s} + 1, rounded down, = ${out} windows in a row. ${s > k ? `The stride is larger than the window: ${missed} pixels are skipped, and the network would never see them. Pawline refuses such params.` : missed ? `${missed} pixels at the right and lower edge are left over.` : "Every pixel is used; none is skipped."}`;
  }
  draw();
}
