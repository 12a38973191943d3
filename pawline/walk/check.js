/* Can you trust these numbers? The page computes the network from the picture on and compares; then it shows the
   differences of all layers and all kept epochs, as tables. */
/* how far numbers of the page may be from those of the model: maps as a share of the layer's largest value */
const ALLOWED = { relative: 1e-4, maps: 1e-4, logits: 1e-4, probabilities: 1e-5 };
/* what was not computed is passed over; NaN is a difference */
const isWithin = (found) => Object.entries(ALLOWED).every(([key, most]) => (found[key] ?? 0) <= most);
const gap = (a, b) => a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);
const gapOfSamples = ([places, values], ours) =>
  gap(
    floats(values),
    Array.from(new Int32Array(bytes, ...places), (at) => ours.values[at]),
  );
const checks = [];
const exact = []; /* by node: whether it was computed from the picture or from unrounded values of the model */
async function checkAll() {
  const begin = performance.now();
  let paused = begin;
  for (let number = 0; number < nodes.length; number++) {
    const node = nodes[number],
      inputs = node.inputs.map((i) => (i < 0 ? picture : computed[i] || kept(i)));
    computed[number] = inputs.every(Boolean) ? run(number, inputs) : null;
    const ours = computed[number];
    exact[number] = Boolean(ours) && node.inputs.every((i) => i < 0 || (computed[i] ? exact[i] : nodes[i].values));
    let difference = null;
    if (exact[number] && node.values) difference = gap(floats(node.values), ours.values);
    else if (exact[number] && node.samples) difference = gapOfSamples(node.samples, ours);
    checks.push({ number, difference, computed: Boolean(ours) });
    if (performance.now() - paused > 12) {
      await new Promise((go) => setTimeout(go));
      paused = performance.now();
    }
  }
  const shown = checks.filter((c) => c.difference !== null && nodes[c.number].largest);
  const last = computed[nodes.length - 1];
  const result = {
    layers: shown.length,
    computed: exact.filter(Boolean).length,
    nodes: nodes.length,
    seconds: (performance.now() - begin) / 1000,
    relative: Math.max(0, ...shown.map((c) => c.difference / nodes[c.number].largest)),
    logits: last ? gap(data.logits, last.values) : null,
    probabilities: last ? gap(data.probabilities, softmax(Array.from(last.values), data.temperature)) : null,
  };
  result.good = isWithin(result);
  return result;
}
function showCheck(result) {
  byId("status").replaceChildren(...resultInWords(result));
  byId("check-tool").append(
    ...comparisonsInWords(result),
    largestDifferences(result),
    el("h3", {}, "Layer by layer"),
    layerByLayer(),
  );
  if (result.learnt.length) byId("check-tool").append(...epochByEpoch(result.learnt));
  window.walk = { result, frames, totals, logits: () => data.logits };
  document.documentElement.dataset.ready = "yes";
}
function resultInWords(result) {
  return [
    el(
      "span",
      { class: result.good ? "good" : "bad" },
      result.good ? "✓ Calculated again in your browser" : "✗ Your browser's numbers differ",
    ),
    ` in ${result.seconds.toFixed(2)} s: ${result.logits === null ? "" : `logits differ by at most ${tiny(result.logits)}, `}layers by ${tiny(result.relative)} of their largest value`,
  ];
}
function comparisonsInWords(result) {
  const { keras, num_pictures: numPictures } = data.check;
  return [
    el(
      "p",
      {},
      `Your browser computed ${result.computed} of ${result.nodes} operations from the picture on, in plain JavaScript, and compared ${result.layers} layers with the values that Python computed for this picture. `,
      result.computed < result.nodes
        ? "The weights of the others are not in this page (--full adds them); there it goes on with the model's own values."
        : "",
    ),
    el(
      "p",
      {},
      `Once for this model, Python's formulas were compared with Keras ${keras} on ${numPictures} fixed pictures, layer by layer. Allowed: 1e-4 of a layer's largest absolute value, 1e-4 for logits, 1e-5 for probabilities.`,
    ),
  ];
}
function largestDifferences(result) {
  return table(
    "The largest differences",
    ["of the answer", "browser and Python, this picture", "Python and Keras, fixed pictures"],
    ["logits", "probabilities"].map((key) => [
      key,
      result[key] === null ? "not computed" : tiny(result[key]),
      tiny(data.check[key]),
    ]),
  );
}
function layerByLayer() {
  return table(
    "Difference, as a share of the layer's largest value",
    ["layer", "kind", "size", "browser", "Keras"],
    nodes.map((node, i) => {
      const { difference, largest } = data.check.layers[i];
      return [
        node.label,
        KIND[node.kind],
        node.shape.join(" × "),
        browserDifference(node, checks[i]),
        largest ? tiny(difference / largest) : "0",
      ];
    }),
  );
}
function browserDifference(node, { difference, computed }) {
  if (difference !== null && node.largest) return tiny(difference / node.largest);
  if (computed) return "inner value";
  return node.left_out ? "weights left out" : "not computed";
}
function epochByEpoch(differences) {
  return [
    el("h3", {}, "Epoch by epoch"),
    el(
      "p",
      {},
      "The page computes the first layer of each kept epoch from the pixels and compares 256 values of its maps; it computes the logits from the values that the epoch's output layer got. Python computed the layers between, and was compared with Keras for each epoch.",
    ),
    table(
      "The largest differences of each epoch",
      ["epoch", "first layer, browser", "logits", "probabilities", "any layer, Keras", "logits, Keras"],
      differences.map((found, i) => [
        epochName(learnt.epochs[i]),
        ...["maps", "logits", "probabilities"].map((key) => (key in found ? tiny(found[key]) : "left out")),
        tiny(learnt.epochs[i].check.layers),
        tiny(learnt.epochs[i].check.logits),
      ]),
    ),
  ];
}
