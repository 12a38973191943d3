/* Which layers have something to show: a window that slides, or maps. */
const chainEnd = (step) => step.chain.at(-1);
const slides = (step) => step.kind === "convolution" || step.kind === "depthwise";
const windowed = steps.filter(
  (s) =>
    slides(s) &&
    nodes[s.chain[0]].weights &&
    (nodes[chainEnd(s)].values || nodes[chainEnd(s)].levels) &&
    nodes[s.chain[0]].inputs.every((i) => i < 0 || nodes[i].values || nodes[i].levels || isInner(i)),
);
function isInner(number) {
  return !steps.some((s) => chainEnd(s) === number);
}
const mapped = steps
  .map((s, i) => i)
  .filter(
    (i) =>
      nodes[chainEnd(steps[i])].shape.length === 3 &&
      (nodes[chainEnd(steps[i])].values || nodes[chainEnd(steps[i])].levels),
  );
