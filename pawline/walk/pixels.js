/* The pixels: the numbers that the network gets, and a closer look at any of them. */
function showPixels() {
  const said = el("p", { class: "formula", "aria-live": "polite" }),
    close = el("canvas", { class: "pick" }),
    value = (y, x) => Array.from({ length: channels }, (_, m) => pixels[(y * size + x) * channels + m]);
  let count = Math.min(12, size),
    at = [Math.floor(size / 2), Math.floor(size / 2)];
  const whole = view("", (y, x) => go(y, x));
  whole.say([el("b", {}, "The whole picture"), `${size} × ${size} pixels. Click to look closer at another place.`]);
  whole.canvas.width = whole.canvas.height = size;
  whole.canvas.getContext("2d").putImageData(colored(), 0, 0);
  const caption = el("figcaption"),
    row = number("Row", 0, size - 1, at[0], (v) => go(Math.round(v), at[1])),
    column = number("Column", 0, size - 1, at[1], (v) => go(at[0], Math.round(v))),
    slide = el("input", {
      type: "range",
      min: 0,
      max: size - 4,
      value: size - count,
      oninput: () => {
        count = size - Number(slide.value);
        draw();
      },
    });
  function colored() {
    const image = new ImageData(size, size);
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const v = value(y, x);
        image.data.set([v[0], v.at(channels > 1 ? 1 : 0), v.at(-1), 255], 4 * (y * size + x));
      }
    return image;
  }
  function corner() {
    return at.map((v) => Math.max(0, Math.min(size - count, v - Math.floor(count / 2))));
  }
  function go(y, x) {
    at = [y, x];
    row.input.value = y;
    column.input.value = x;
    draw();
  }
  function draw() {
    const context = close.getContext("2d"),
      side = 720,
      step = side / count,
      [top, left] = corner();
    close.width = close.height = side;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `${Math.min(26, step / (channels === 1 ? 2.4 : 3.6))}px system-ui, sans-serif`;
    for (let r = 0; r < count; r++)
      for (let c = 0; c < count; c++) {
        const v = value(top + r, left + c),
          rgb = channels === 1 ? [v[0], v[0], v[0]] : v;
        context.fillStyle = `rgb(${rgb})`;
        context.fillRect(c * step, r * step, step + 0.5, step + 0.5);
        if (step < 34) continue;
        context.fillStyle = inkOn(rgb);
        v.forEach((one, m) => context.fillText(one, (c + 0.5) * step, (r + (m + 1) / (channels + 1)) * step));
      }
    context.strokeStyle = "#c2410c";
    context.lineWidth = 5;
    context.strokeRect((at[1] - left) * step, (at[0] - top) * step, step, step);
    whole.frame(top, left, count, count);
    caption.replaceChildren(
      el("b", {}, `${count} × ${count} pixels, closer`),
      step < 34 ? "Zoom in further to read the numbers." : "Each square is one pixel, with its numbers.",
    );
    const [v, here] = [value(...at), `Row ${at[0]}, column ${at[1]}: `];
    said.textContent = here + (channels === 1 ? v[0] : `red ${v[0]}, green ${v[1]}, blue ${v[2]}`);
    close.setAttribute("aria-label", `The pixels around row ${at[0]}, column ${at[1]}`);
  }
  close.setAttribute("role", "img");
  close.addEventListener("click", (event) => {
    const place = close.getBoundingClientRect(),
      [top, left] = corner(),
      cell = (v, length) => Math.min(count - 1, Math.floor((v / length) * count));
    go(top + cell(event.clientY - place.top, place.height), left + cell(event.clientX - place.left, place.width));
  });
  byId("pixels-tool").append(
    el("div", { class: "controls" }, el("label", {}, "Zoom in", slide), row.label, column.label),
    el("div", { class: "pair" }, whole.figure, el("figure", {}, el("div", { class: "view" }, close), caption)),
    said,
  );
  draw();
}
