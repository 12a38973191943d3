/* What the sections are made of: elements, colours, maps, tables. */
function el(tag, attributes = {}, ...children) {
  const one = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) one.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined) one.setAttribute(key, value === true ? "" : value);
  }
  one.append(...children.filter((c) => c !== null && c !== undefined));
  return one;
}
const byId = (id) => document.getElementById(id);
const num = (v, digits = 3) => {
  const a = Math.abs(v);
  return (
    a !== 0 && (a < 0.001 || a >= 1e5) ? v.toExponential(1) : a >= 100 ? v.toFixed(1) : v.toFixed(digits)
  ).replace("-", "−");
};
const tiny = (v) => (v === 0 ? "0" : v.toExponential(1).replace("-", "−"));
const percent = (p) =>
  p === 1 || p === 0 ? `${100 * p} %` : `${(100 * p).toFixed(p > 0.9995 || p < 0.0005 ? 3 : 1)} %`;
/* the labels of all classes, the largest value first; values: by label */
const byLargest = (values) => names.map((_, k) => k).sort((a, b) => values[b] - values[a]);
const STOPS = [
  [38, 20, 72],
  [52, 84, 140],
  [33, 145, 140],
  [122, 205, 98],
  [253, 231, 80],
];
function heat(t) {
  const x = Math.min(Math.max(t, 0), 1) * 4,
    i = Math.min(3, Math.floor(x));
  return STOPS[i].map((v, n) => v + (STOPS[i + 1][n] - v) * (x - i));
}
function signed(t) {
  const end = t < 0 ? [194, 65, 12] : [11, 122, 112],
    a = Math.min(1, Math.abs(t));
  return [246, 246, 244].map((v, n) => v + (end[n] - v) * a);
}
const linear = (v) => (v <= 10.3 ? v / 3294 : ((v / 255 + 0.055) / 1.055) ** 2.4);
const inkOn = ([r, g, b]) =>
  0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) > 0.179
    ? "#000"
    : "#fff"; /* at least 4.5 : 1 on any colour */
function channel(maps, c) {
  const [H, W, C] = maps.shape,
    out = new Float64Array(H * W);
  for (let i = 0; i < H * W; i++) out[i] = maps.values[i * C + c];
  return out;
}
function liveliest(maps) {
  /* the map whose values differ most, and the place of its largest value: where there is something to see */
  const [H, W, C] = maps.shape;
  let best = 0,
    most = -1;
  for (let c = 0; c < C; c++) {
    const one = channel(maps, c),
      mean = one.reduce((a, b) => a + b, 0) / one.length,
      spreadOf = one.reduce((a, b) => a + (b - mean) ** 2, 0);
    if (spreadOf > most) [best, most] = [c, spreadOf];
  }
  const values = channel(maps, best),
    at = values.indexOf(Math.max(...values));
  return { map: best, row: Math.floor(at / W) % H, column: at % W };
}
function range(values) {
  let low = Infinity,
    high = -Infinity;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return [Math.min(low, 0), high];
}
function paint(canvas, values, H, W, [low, high], color = heat) {
  canvas.width = W;
  canvas.height = H;
  const context = canvas.getContext("2d"),
    image = context.createImageData(W, H),
    width = high - low || 1;
  for (let i = 0; i < H * W; i++) {
    const [r, g, b] =
      color === signed
        ? signed(values[i] / (Math.max(Math.abs(low), Math.abs(high)) || 1))
        : color((values[i] - low) / width);
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}
const gray = (t) => {
  const v = 255 * Math.min(Math.max(t, 0), 1);
  return [v, v, v];
};
function view(caption, picked) {
  /* a map with a frame that can move over it */
  const canvas = el("canvas", { role: "img", "aria-label": caption, class: picked ? "pick" : false }),
    box = el("div", { class: "box", hidden: true }),
    next = el("div", { class: "box next", hidden: true });
  const text = el("figcaption", {}, caption);
  const figure = el("figure", {}, el("div", { class: "view" }, canvas, next, box), text);
  if (picked) canvas.addEventListener("click", (event) => picked(...pixelBelow(canvas, event)));
  return {
    figure,
    canvas,
    draw(values, H, W, limits, color) {
      paint(canvas, values, H, W, limits || range(values), color);
    },
    frame(y, x, h, w) {
      placeOver(canvas, box, y, x, h, w);
    },
    shade(y, x, h, w) {
      placeOver(canvas, next, y, x, h, w);
    },
    say(words) {
      text.replaceChildren(...[].concat(words));
      canvas.setAttribute("aria-label", text.textContent);
    },
  };
}
function pixelBelow(canvas, event) {
  /* its row and column, whatever size the canvas has on the screen */
  const at = canvas.getBoundingClientRect();
  return [
    Math.floor(((event.clientY - at.top) / at.height) * canvas.height),
    Math.floor(((event.clientX - at.left) / at.width) * canvas.width),
  ];
}
function placeOver(canvas, box, y, x, h, w) {
  /* shows the box over these pixels, cut off at the edges; in percent, so that it stays there in any size */
  const H = canvas.height,
    W = canvas.width,
    y1 = Math.max(0, y),
    x1 = Math.max(0, x),
    y2 = Math.min(H, y + h),
    x2 = Math.min(W, x + w);
  box.hidden = false;
  Object.assign(box.style, {
    top: `${(100 * y1) / H}%`,
    left: `${(100 * x1) / W}%`,
    height: `${(100 * Math.max(0, y2 - y1)) / H}%`,
    width: `${(100 * Math.max(0, x2 - x1)) / W}%`,
  });
}
function cells(rows, columns, label) {
  /* a small table of coloured numbers, drawn again without new elements */
  const grid = el("div", { class: rows * columns > 30 ? "grid many" : "grid", role: "img", "aria-label": label });
  grid.style.gridTemplateColumns = `repeat(${columns}, max-content)`;
  const all = Array.from({ length: rows * columns }, () => grid.appendChild(el("div")));
  return {
    grid,
    set(values, color) {
      const most = Math.max(1e-12, ...values.map((v) => (v === null ? 0 : Math.abs(v))));
      const digits = most >= 100 ? 0 : most >= 10 ? 1 : most >= 1 ? 2 : 3;
      const [low, high] = range(values.filter((v) => v !== null));
      values.forEach((v, i) => {
        const one = all[i];
        if (v === null) {
          one.textContent = "0*";
          one.style.background = "";
          one.style.color = "";
          return;
        }
        const rgb = color(color === signed ? v / most : (v - low) / (high - low || 1));
        const short = v.toFixed(digits);
        one.textContent = (Number(short) === 0 ? (0).toFixed(digits) : short).replace("-", "−");
        one.style.background = `rgb(${rgb.map(Math.round)})`;
        one.style.color = inkOn(rgb);
      });
      grid.setAttribute("aria-label", `${label}, row by row: ${all.map((one) => one.textContent).join(" ")}`);
    },
  };
}
function paintTiles(canvas, values, high, wide, C, across, color) {
  /* a small picture of high × wide values for each of C channels; values: for each place, all channels */
  const side = [(high + 1) * Math.ceil(C / across) - 1, (wide + 1) * across - 1];
  [canvas.height, canvas.width] = side;
  const context = canvas.getContext("2d"),
    image = context.createImageData(canvas.width, canvas.height),
    [low, top] = range(values),
    most = Math.max(-low, top) || 1;
  for (let q = 0; q < high * wide; q++)
    for (let c = 0; c < C; c++) {
      const v = values[q * C + c],
        y = Math.floor(c / across) * (high + 1) + Math.floor(q / wide),
        x = (c % across) * (wide + 1) + (q % wide);
      const rgb = color === signed ? signed(v / most) : color((v - low) / (top - low || 1));
      image.data.set([...rgb, 255], 4 * (y * canvas.width + x));
    }
  context.putImageData(image, 0, 0);
}
function bar(share, minus) {
  const fill = el("i", { class: minus ? "minus" : false });
  fill.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  return el("div", { class: "bar", "aria-hidden": "true" }, fill);
}
function table(caption, head, rows) {
  const inner = el(
    "table",
    {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell))))),
  );
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, inner);
}
const title = (node) => `${node.label} (${KIND[node.kind]})`;
