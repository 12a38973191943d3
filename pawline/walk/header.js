/* The top of the page: the answer, the menu, and the whole way at a glance. */
function showAnswer() {
  const best = data.probabilities.indexOf(Math.max(...data.probabilities));
  byId("answer").textContent = `“${names[best]}”, says the network, with ${percent(data.probabilities[best])}`;
  for (const section of document.querySelectorAll("main section"))
    byId("toc").append(el("li", {}, el("a", { href: `#${section.id}` }, section.dataset.nav)));
}
function showWay() {
  /* the whole network at a glance: where the maps change their size, then the numbers, then the answer */
  const shown = [];
  let before = "";
  const plain = mapped.filter((i) => !mirrored[chainEnd(steps[i])]);
  for (const i of plain) {
    const now = nodes[chainEnd(steps[i])].shape.slice(0, 2).join();
    if (!["convolution", "depthwise", "add", "max_pooling", "average_pooling"].includes(steps[i].kind)) continue;
    if (now !== before || i === plain.at(-1)) shown.push(i);
    before = now;
  }
  const host = byId("way"),
    arrow = () => el("li", { class: "arrow", "aria-hidden": "true" }, "→"),
    stop = (href, picture, name, what) =>
      el("li", {}, el("a", { href }, picture, el("b", {}, name), el("span", {}, what)));
  const small = el("img", { src: data.picture.steps.at(-1).image, alt: "" });
  host.append(stop("#picture", small, "picture", `${size} × ${size} pixels`));
  for (const i of shown.length > 7 ? [...shown.slice(0, 6), shown.at(-1)] : shown) {
    const node = nodes[chainEnd(steps[i])],
      maps = valueOf(chainEnd(steps[i])),
      canvas = el("canvas", { "aria-hidden": "true" }),
      [H, W, C] = node.shape;
    paint(canvas, channel(maps, liveliest(maps).map), H, W, range(channel(maps, liveliest(maps).map)));
    const href = steps[i].kind.includes("pooling") ? "#pooling" : windowed.includes(steps[i]) ? "#window" : "#maps";
    host.append(arrow(), stop(href, canvas, steps[i].name, `${C} maps of ${H}\u00a0×\u00a0${W}`));
  }
  const answers = byLargest(data.probabilities)
    .slice(0, 4)
    .map((k) => el("div", {}, names[k], bar(data.probabilities[k]), percent(data.probabilities[k])));
  host.append(
    arrow(),
    stop("#output", el("div", { class: "answers" }, ...answers), "answer", `${names.length} classes`),
  );
}
