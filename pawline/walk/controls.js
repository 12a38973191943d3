/* Fields and buttons, labelled. */
function choice(label, options, changed) {
  const select = el(
    "select",
    { onchange: () => changed(Number(select.value)) },
    ...options.map(([value, text]) => el("option", { value }, text)),
  );
  return { label: el("label", {}, label, select), select };
}
function number(label, low, high, value, changed, step = 1) {
  const input = el("input", {
    type: "number",
    min: low,
    max: high,
    step,
    value,
    oninput: () => {
      const v = Number(input.value);
      if (input.value !== "" && Number.isFinite(v))
        changed(Math.min(Number(input.max), Math.max(Number(input.min), v)));
    },
  });
  return { label: el("label", {}, label, input), input };
}
function wholeNumber(label, state, name, changed) {
  return number(label, 0, 0, 0, (v) => {
    state[name] = Math.round(v);
    changed();
  });
}
const button = (text, onclick) => el("button", { type: "button", onclick }, text);
/* a button that switches state.playing; `begin` starts what then plays */
function playButton(state, begin) {
  const play = el(
    "button",
    {
      type: "button",
      class: "main",
      onclick: () => {
        state.playing = !state.playing;
        play.textContent = state.playing ? "Pause" : "Play";
        if (state.playing) begin();
      },
    },
    "Play",
  );
  return play;
}
/* the fields that choose a map and a pixel of it */
function placeFields(state, mapChanged, placeChanged) {
  return [
    wholeNumber("Feature map", state, "map", mapChanged),
    wholeNumber("Row", state, "row", placeChanged),
    wholeNumber("Column", state, "column", placeChanged),
  ];
}
/* moves the place of state by so many pixels, row by row; from the last pixel to the first */
function movePlace(state, [H, W], by) {
  const at = (state.row * W + state.column + by + H * W) % (H * W);
  state.row = Math.floor(at / W);
  state.column = at % W;
}
