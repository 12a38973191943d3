/* The pixels: the numbers that the network gets, and a closer look at any of them. */
const CLOSE_UP = 720; /* pixels of the canvas that shows a part of the picture larger */
const READABLE = 34; /* from this side on, a square has room for its numbers */
const pixelAt = (y, x) => Array.from({ length: channels }, (_, m) => pixels[(y * size + x) * channels + m]);
function showPixels() {
  /* count: how many pixels stand in a row of the close-up; at: the row and column of the chosen pixel */
  const tool = {
    count: Math.min(12, size),
    at: [Math.floor(size / 2), Math.floor(size / 2)],
    whole: wholePicture((y, x) => goToPixel(tool, y, x)),
    closeUp: el("canvas", { class: "pick", role: "img" }),
    caption: el("figcaption"),
    numbers: el("p", { class: "formula", "aria-live": "polite" }),
  };
  tool.fields = pixelFields(tool);
  tool.closeUp.addEventListener("click", (event) => goToClick(tool, event));
  const { zoom, row, column } = tool.fields;
  byId("pixels-tool").append(
    el("div", { class: "controls" }, el("label", {}, "Zoom in", zoom), row.label, column.label),
    el(
      "div",
      { class: "pair" },
      tool.whole.figure,
      el("figure", {}, el("div", { class: "view" }, tool.closeUp), tool.caption),
    ),
    tool.numbers,
  );
  drawPixels(tool);
}
function wholePicture(picked) {
  const whole = view("", picked),
    image = new ImageData(size, size);
  whole.say([el("b", {}, "The whole picture"), `${size} × ${size} pixels. Click to look closer at another place.`]);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const v = pixelAt(y, x);
      image.data.set([v[0], v.at(channels > 1 ? 1 : 0), v.at(-1), 255], 4 * (y * size + x));
    }
  whole.canvas.width = whole.canvas.height = size;
  whole.canvas.getContext("2d").putImageData(image, 0, 0);
  return whole;
}
function pixelFields(tool) {
  const [y, x] = tool.at,
    zoom = el("input", {
      type: "range",
      min: 0,
      max: size - 4,
      value: size - tool.count,
      oninput: () => {
        tool.count = size - Number(zoom.value);
        drawPixels(tool);
      },
    });
  return {
    zoom,
    row: number("Row", 0, size - 1, y, (v) => goToPixel(tool, Math.round(v), tool.at[1])),
    column: number("Column", 0, size - 1, x, (v) => goToPixel(tool, tool.at[0], Math.round(v))),
  };
}
function goToPixel(tool, y, x) {
  tool.at = [y, x];
  tool.fields.row.input.value = y;
  tool.fields.column.input.value = x;
  drawPixels(tool);
}
function goToClick(tool, event) {
  const place = tool.closeUp.getBoundingClientRect(),
    [top, left] = closeUpCorner(tool),
    cell = (v, length) => Math.min(tool.count - 1, Math.floor((v / length) * tool.count));
  goToPixel(
    tool,
    top + cell(event.clientY - place.top, place.height),
    left + cell(event.clientX - place.left, place.width),
  );
}
function closeUpCorner({ count, at }) {
  /* the row and column of its upper left pixel */
  return at.map((v) => Math.max(0, Math.min(size - count, v - Math.floor(count / 2))));
}
function drawPixels(tool) {
  const { count, at, closeUp, caption, numbers } = tool,
    [v, here] = [pixelAt(...at), `Row ${at[0]}, column ${at[1]}: `];
  drawCloseUp(tool);
  tool.whole.frame(...closeUpCorner(tool), count, count);
  caption.replaceChildren(
    el("b", {}, `${count} × ${count} pixels, closer`),
    CLOSE_UP / count < READABLE
      ? "Zoom in further to read the numbers."
      : "Each square is one pixel, with its numbers.",
  );
  numbers.textContent = here + (channels === 1 ? v[0] : `red ${v[0]}, green ${v[1]}, blue ${v[2]}`);
  closeUp.setAttribute("aria-label", `The pixels around row ${at[0]}, column ${at[1]}`);
}
function drawCloseUp(tool) {
  const { count, at, closeUp } = tool,
    context = closeUp.getContext("2d"),
    step = CLOSE_UP / count,
    [top, left] = closeUpCorner(tool);
  closeUp.width = closeUp.height = CLOSE_UP;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `${Math.min(26, step / (channels === 1 ? 2.4 : 3.6))}px system-ui, sans-serif`;
  for (let r = 0; r < count; r++)
    for (let c = 0; c < count; c++) drawSquare(context, pixelAt(top + r, left + c), r, c, step);
  context.strokeStyle = "#c2410c";
  context.lineWidth = 5;
  context.strokeRect((at[1] - left) * step, (at[0] - top) * step, step, step);
}
function drawSquare(context, v, r, c, step) {
  /* a pixel in its colour, with its numbers where they can be read */
  const rgb = channels === 1 ? [v[0], v[0], v[0]] : v;
  context.fillStyle = `rgb(${rgb})`;
  context.fillRect(c * step, r * step, step + 0.5, step + 0.5);
  if (step < READABLE) return;
  context.fillStyle = inkOn(rgb);
  v.forEach((one, m) => context.fillText(one, (c + 0.5) * step, (r + (m + 1) / (channels + 1)) * step));
}
