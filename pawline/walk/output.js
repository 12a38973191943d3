/* From maps to the answer: the strongest units, what adds to each logit, and softmax. */
const totals = { logits: {}, activation: null }; /* what the table of logits and the activation map add up to */
function showOutput() {
  const host = byId("output-tool");
  for (const [i, node] of nodes.entries()) if (node.units) host.append(...strongestUnits(node, kept(i).values));
  if (heads.length && heads.every((i) => nodes[i].weights)) host.append(...splitLogits());
  host.append(...softmaxInNumbers());
}
function strongestUnits(node, values) {
  const sums = floats(node.units.map_sums),
    C = node.units.num_maps,
    say = (list) => list.map(([c, v]) => `map ${c}: ${v > 0 ? "+" : ""}${num(v, 2)}`).join(", ");
  return [
    el(
      "p",
      {},
      `The maps are laid out as one long list of numbers, and each of the ${node.shape[0]} units of the fully connected layer weighs all of them. Below: the strongest units for this picture, and the maps that speak for and against each.`,
    ),
    table(
      `${node.label}: the strongest units`,
      ["unit", "value", "size", "maps that add most", "maps that take most", "bias"],
      node.units.numbers.map((unit, u) => {
        const own = Array.from({ length: C }, (_, c) => [c, sums[u * C + c]]).sort((a, b) => b[1] - a[1]);
        return [
          String(unit),
          num(values[unit], 2),
          bar(values[unit] / (values[node.units.numbers[0]] || 1)),
          say(own.slice(0, 3)),
          say(own.slice(-2).reverse()),
          num(node.units.bias[u], 2),
        ];
      }),
    ),
  ];
}
function splitLogits() {
  /* what adds to each logit and what takes away; both views of a picture have the same weights */
  const views = heads.map((i) => valueOf(nodes[i].inputs[0]).values),
    w = weightsOf(nodes[heads[0]]),
    from = nodes[nodes[heads[0]].inputs[0]],
    means = Array.from(views[0], (_, i) => views.reduce((sum, one) => sum + one[i], 0) / views.length),
    shown = byLargest(data.logits).slice(0, 8);
  const last = from.kind === "dense" ? "strongest units" : "strongest maps";
  return [
    el("h3", {}, "Each class's logit: what adds and what takes away"),
    el(
      "p",
      {},
      `The output layer weighs the ${means.length} values of “${from.name}”${from.kind === "global_average" ? " (the mean of each last map)" : ""}. Each value times its weight adds to a class, or takes away. The sum is the class's logit.`,
    ),
    heads.length > 1
      ? el(
          "p",
          {},
          "This network looks at the picture and at its mirror image, with the same weights, and takes the mean of both logits. That is the same as weighing the mean of both views' values; each value in the table is such a mean.",
        )
      : "",
    table(
      "Logits",
      ["class", "adds", "takes away", "bias", "logit", "model", last],
      shown.map((k) => splitLogit(k, means, w)),
    ),
    names.length > shown.length
      ? el("p", { class: "note" }, `Shown: the ${shown.length} likeliest of ${names.length} classes.`)
      : "",
  ];
}
function splitLogit(k, values, w) {
  /* a row of the table */
  const parts = values.map((v, i) => [i, v * w.kernel[i * names.length + k]]),
    plus = parts.filter((p) => p[1] > 0).reduce((a, p) => a + p[1], 0),
    minus = parts.filter((p) => p[1] < 0).reduce((a, p) => a + p[1], 0);
  const strongest = parts
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]))
    .slice(0, 3)
    .map(([i, v]) => `${i}: ${v > 0 ? "+" : ""}${num(v, 2)}`)
    .join(", ");
  const logit = (totals.logits[k] = plus + minus + w.bias[k]);
  return [names[k], `+${num(plus, 2)}`, num(minus, 2), num(w.bias[k]), num(logit), num(data.logits[k]), strongest];
}
function softmaxInNumbers() {
  const t = data.temperature,
    p = data.probabilities,
    scaled = data.logits.map((v) => v / t),
    largest = Math.max(...scaled);
  return [
    el("h3", {}, "Softmax: from logits to probabilities"),
    el(
      "p",
      {},
      `${t === 1 ? "" : `First, each logit is divided by the temperature, ${num(t)}. It was chosen on pictures that the network did not learn from, so that its probabilities tell how often it is right. Then: `}e to the power of each logit, divided by the sum of all. The results are numbers from 0 to 1; their sum is ${p.reduce((a, b) => a + b, 0).toFixed(6)}.${t === 1 ? " The temperature of this model is 1: nothing corrects its probabilities, and a high one may claim too much." : ""}`,
    ),
    table(
      "Probabilities",
      [
        "class",
        "logit",
        ...(t === 1 ? [] : ["logit ÷ temperature"]),
        `e^(${t === 1 ? "logit" : "logit ÷ temperature"} − the largest)`,
        "probability",
        "size",
      ],
      byLargest(p)
        .slice(0, 20)
        .map((k) => [
          names[k],
          num(data.logits[k]),
          ...(t === 1 ? [] : [num(scaled[k])]),
          num(Math.exp(scaled[k] - largest), 4),
          percent(p[k]),
          bar(p[k]),
        ]),
    ),
  ];
}
