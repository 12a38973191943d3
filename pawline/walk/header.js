/* The top of the page: the answer, the menu, and the whole way at a glance. */
function showAnswer() {
  const best = data.probabilities.indexOf(Math.max(...data.probabilities));
  byId("answer").textContent = `“${names[best]}”, says the network, with ${percent(data.probabilities[best])}`;
  for (const section of document.querySelectorAll("main section"))
    byId("toc").append(el("li", {}, el("a", { href: `#${section.id}` }, section.dataset.nav)));
}
function showWay() {
  /* the whole network at a glance: where the maps change their size, then the numbers, then the answer */
  const small = el("img", { src: data.picture.steps.at(-1).image, alt: "" });
  byId("way").append(
    stopOnTheWay("#picture", small, "picture", `${size} × ${size} pixels`),
    ...stepsOnTheWay().flatMap((i) => [arrow(), mapsOnTheWay(i)]),
    arrow(),
    stopOnTheWay("#output", likeliestAnswers(), "answer", `${names.length} classes`),
  );
}
const arrow = () => el("li", { class: "arrow", "aria-hidden": "true" }, "→");
const stopOnTheWay = (href, picture, name, what) =>
  el("li", {}, el("a", { href }, picture, el("b", {}, name), el("span", {}, what)));
function stepsOnTheWay() {
  /* at most seven, the last among them */
  const plain = mapped.filter((i) => !mirrored[chainEnd(steps[i])]),
    found = [];
  let before = "";
  for (const i of plain) {
    const now = nodes[chainEnd(steps[i])].shape.slice(0, 2).join();
    if (!["convolution", "depthwise", "add", "max_pooling", "average_pooling"].includes(steps[i].kind)) continue;
    if (now !== before || i === plain.at(-1)) found.push(i);
    before = now;
  }
  return found.length > 7 ? [...found.slice(0, 6), found.at(-1)] : found;
}
function mapsOnTheWay(numberOfStep) {
  const step = steps[numberOfStep],
    maps = valueOf(chainEnd(step)),
    [H, W, C] = maps.shape,
    values = channel(maps, liveliest(maps).map),
    canvas = el("canvas", { "aria-hidden": "true" });
  paint(canvas, values, H, W, range(values));
  const href = step.kind.includes("pooling") ? "#pooling" : windowed.includes(step) ? "#window" : "#maps";
  return stopOnTheWay(href, canvas, step.name, `${C} maps of ${H}\u00a0×\u00a0${W}`);
}
function likeliestAnswers() {
  const rows = byLargest(data.probabilities)
    .slice(0, 4)
    .map((k) => el("div", {}, names[k], bar(data.probabilities[k]), percent(data.probabilities[k])));
  return el("div", { class: "answers" }, ...rows);
}
