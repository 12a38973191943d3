/* The sections of the page, in order; at the end, the check, then all of them. */
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
function showPicture() {
  for (const step of data.picture.steps)
    byId("picture-steps").append(
      el(
        "figure",
        {},
        el("img", { src: step.image, alt: `${step.title}: ${data.picture.name}`, class: step.small ? "small" : false }),
        el("figcaption", {}, el("b", {}, step.title), step.text),
      ),
    );
}
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

function fieldOf(numberOfNode, r, c) {
  /* the receptive field in the network's picture: [top, left, bottom, right] */
  let box = [r, c, r, c];
  for (let at = numberOfNode; at >= 0; at = nodes[at].inputs[0]) {
    const node = nodes[at];
    if (["global_average", "global_max", "flatten", "dense"].includes(node.kind)) return [0, 0, size - 1, size - 1];
    if (node.window) {
      const input = node.inputs[0] < 0 ? picture.shape : nodes[node.inputs[0]].shape,
        m = margins(node, input);
      box = [0, 1, 2, 3].map((i) => box[i] * node.stride[i % 2] - m[i % 2] + (i > 1 ? node.window[i % 2] - 1 : 0));
    }
    if (node.kind === "mirror") box = [box[0], size - 1 - box[3], box[2], size - 1 - box[1]];
    if (node.kind === "add") {
      const boxes = node.inputs.map((i) => fieldOf(i, box[0], box[1])),
        ends = node.inputs.map((i) => fieldOf(i, box[2], box[3]));
      return [
        Math.min(...boxes.map((b) => b[0])),
        Math.min(...boxes.map((b) => b[1])),
        Math.max(...ends.map((b) => b[2])),
        Math.max(...ends.map((b) => b[3])),
      ];
    }
  }
  return box.map((v) => Math.min(size - 1, Math.max(0, v)));
}
function onPhoto([top, left, bottom, right]) {
  /* fractions of the upright photograph */
  const [h, w] = data.picture.photo_shape,
    form = model.form;
  let scale = [1 / size, 1 / size],
    move = [0, 0];
  if (form.aspect !== "stretch") {
    const s = form.aspect === "crop" ? Math.min(h, w) : Math.max(h, w);
    scale = [s / h / size, s / w / size];
    move = [(h - s) / 2 / h, (w - s) / 2 / w];
  }
  const cut = (v) => Math.min(1, Math.max(0, v));
  return [
    cut(top * scale[0] + move[0]),
    cut(left * scale[1] + move[1]),
    cut((bottom + 1) * scale[0] + move[0]),
    cut((right + 1) * scale[1] + move[1]),
  ];
}
const SAID = {
  relu: " (below zero becomes 0)",
  relu6: " (kept between 0 and 6)",
  sigmoid: " (squeezed between 0 and 1)",
};
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
function wholeNumber(label, state, name, changed) {
  return number(label, 0, 0, 0, (v) => {
    state[name] = Math.round(v);
    changed();
  });
}
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
let goTo = () => {};
function drawUse(one, node, source) {
  /* how many windows lie over each pixel */
  const [H, W] = source.shape,
    counts = new Float64Array(H * W);
  overWindows(node, source, (r, c, y0, x0) => {
    for (let y = Math.max(0, y0); y < Math.min(H, y0 + node.window[0]); y++)
      for (let x = Math.max(0, x0); x < Math.min(W, x0 + node.window[1]); x++) counts[y * W + x]++;
  });
  const least = counts.reduce((a, b) => Math.min(a, b)),
    most = counts.reduce((a, b) => Math.max(a, b));
  one.draw(counts, H, W, [0, most]);
  one.say([
    el("b", {}, "How often each pixel is used"),
    least > 0
      ? `Each pixel lies under ${least === most ? most : `${least} to ${most}`} ${most === 1 ? "window" : "windows"}. None is skipped.`
      : `${counts.filter((v) => v === 0).length} pixels at the edge lie under no window.`,
  ]);
}
function windowLayout(parts) {
  const photo = data.picture.steps[data.picture.photo].image,
    sign = (text) => el("span", { "aria-hidden": "true" }, text),
    cellsWith = (one, caption) => el("figure", {}, one.grid, el("figcaption", {}, caption));
  const seen = el(
    "figure",
    {},
    el(
      "div",
      { class: "view" },
      el("img", { src: photo, alt: "The photograph with the part that this output pixel can see" }),
      parts.box,
    ),
    el("figcaption", {}, el("b", {}, "Receptive field"), "All that this one output pixel can see of the photograph."),
  );
  const sum = el(
    "div",
    { class: "sum" },
    cellsWith(parts.under, "under the window"),
    sign("×"),
    cellsWith(parts.kernel, "kernel (weights)"),
    sign("="),
    cellsWith(parts.products, "products"),
  );
  return [
    el("div", { class: "row two" }, seen, parts.input.figure, parts.output.figure, parts.overlap.figure),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Window, kernel and products" }, sum),
    parts.formula,
    parts.fine,
    parts.source.shape[2] > 1 && !parts.alone
      ? el("div", { class: "row two" }, parts.windows.figure, parts.kernels.figure, parts.sums.figure)
      : "",
  ];
}
function windowInNumbers({ node, source, w, alone }, state) {
  /* what lies under the window: sums by input channel; values, weights and products of state.input (null over the edge);
     values and weights of all channels, place by place */
  const [high, wide] = node.window,
    [H, W, C] = source.shape,
    m = margins(node, source.shape),
    top = state.row * node.stride[0] - m[0],
    left = state.column * node.stride[1] - m[1],
    found = { top, left, outside: false, sums: new Float64Array(C) };
  for (const key of ["under", "kernel", "products", "everyValue", "everyWeight"]) found[key] = [];
  for (let i = 0; i < high; i++)
    for (let j = 0; j < wide; j++) {
      const y = top + i,
        x = left + j,
        inside = y >= 0 && x >= 0 && y < H && x < W;
      found.outside ||= !inside;
      for (let c = alone ? state.map : 0; c < (alone ? state.map + 1 : C); c++) {
        const v = inside ? source.values[(y * W + x) * C + c] : 0,
          place = (i * wide + j) * C + c,
          k = w.kernel[alone ? place : place * node.shape[2] + state.map];
        found.sums[c] += v * k;
        found.everyValue.push(v);
        found.everyWeight.push(k);
        if (c === state.input) {
          found.under.push(inside ? v : null);
          found.kernel.push(k);
          found.products.push(v * k);
        }
      }
    }
  return found;
}
function pixelInWords({ source, chosen, result, node, w, alone }, state, sums) {
  /* from the products to the pixel of the model, with the real numbers */
  const C = source.shape[2],
    total = sums.reduce((a, b) => a + b, 0),
    bias = w.bias[state.map];
  let value = total + bias,
    words = `${C === 1 || alone ? "sum of the products" : `channel ${state.input}: ${num(sums[state.input])}; sum over all ${C} channels`} ${num(total)} + bias ${num(bias)} = ${num(value)}`;
  chosen.chain.forEach((number, i) => {
    const one = nodes[number],
      n = i && one.kind === "normalization" ? weightsOf(one) : null;
    if (n) {
      value = value * n.scale[state.map] + n.shift[state.map];
      words += ` → normalization (× ${num(n.scale[state.map])} + ${num(n.shift[state.map])}) ${num(value)}`;
    }
    if (one.activation && one.activation !== "linear") {
      value = ACTIVATION[one.activation](value);
      words += ` → ${one.activation}${SAID[one.activation] || ""} → ${num(value)}`;
    }
  });
  const theirs = result.values[(state.row * node.shape[1] + state.column) * node.shape[2] + state.map];
  return `${words}. The model has ${num(theirs)}; difference ${tiny(Math.abs(theirs - value))}.`;
}
function drawChannels(parts, state, { sums, everyValue, everyWeight }) {
  /* the window, the kernel and the sums of all input channels */
  const { across, node, source } = parts,
    [high, wide] = node.window,
    C = source.shape[2],
    down = Math.ceil(C / across),
    row = Math.floor(state.input / across),
    column = state.input % across,
    square = new Float64Array(down * across);
  square.set(sums);
  parts.sums.draw(square, down, across, range(sums), signed);
  parts.sums.frame(row, column, 1, 1);
  for (const [one, values, color] of [
    [parts.windows, everyValue, C <= 3 ? gray : heat],
    [parts.kernels, everyWeight, signed],
  ]) {
    paintTiles(one.canvas, values, high, wide, C, across, color);
    one.frame(row * (high + 1), column * (wide + 1), high, wide);
  }
}
function sayChannels(parts, C) {
  parts.windows.say([
    el("b", {}, `The window on all ${C} channels`),
    "Each small square is what lies under the window on one channel. Click one to see its numbers.",
  ]);
  parts.kernels.say([
    el("b", {}, `This map's kernel, all ${C} channels`),
    "A square of weights for each channel: green adds, orange takes away.",
  ]);
  parts.sums.say([
    el("b", {}, `What each of the ${C} channels adds`),
    "Green adds, orange takes away; white is zero. Click one to see its products.",
  ]);
}
function showWindow() {
  const host = byId("window-tool");
  if (!windowed.length) {
    host.append(el("p", {}, "The kernels of this network are too large for this page; make it with --full."));
    return;
  }
  const state = { step: 0, map: 0, row: 0, column: 0, input: 0, playing: false, speed: 6 };
  const start = () => Object.assign(state, { input: 0 }, liveliest(valueOf(chainEnd(windowed[state.step]))));
  start();
  let parts = {};
  const layer = choice(
    "Layer",
    windowed.map((s, i) => [i, title(nodes[s.chain[0]])]),
    (v) => {
      state.step = v;
      start();
      rebuild();
    },
  );
  const [map, row, column] = placeFields(
      state,
      () => redrawMap(),
      () => update(),
    ),
    input = wholeNumber("Input channel", state, "input", () => redrawInput());
  const play = playButton(state, () => requestAnimationFrame(frame));
  const step = (by) => () => {
    move(by);
    update();
  };
  const speed = el("input", {
    type: "range",
    min: 1,
    max: 60,
    value: 6,
    oninput: () => {
      state.speed = Number(speed.value);
    },
  });
  const stage = el("div");
  host.append(
    el("div", { class: "controls" }, layer.label, map.label, input.label, row.label, column.label),
    el(
      "div",
      { class: "controls" },
      play,
      el("button", { type: "button", onclick: step(-1) }, "Step back"),
      el("button", { type: "button", onclick: step(1) }, "Step"),
      el(
        "button",
        {
          type: "button",
          onclick: () => {
            state.row = state.column = 0;
            update();
          },
        },
        "To the start",
      ),
      el("label", {}, "Pixels per second", speed),
    ),
    stage,
  );
  const away = steps.filter((s) => slides(s) && !windowed.includes(s) && !mirrored[s.chain[0]]);
  if (away.length)
    host.append(
      el(
        "p",
        { class: "note" },
        `Left out for the page's size: the kernels of ${away.map((s) => s.name).join(", ")} (${(away.reduce((a, s) => a + (nodes[s.chain[0]].left_out || 0), 0) / 1e6).toFixed(1)} MB). Made with --full, the page has them.`,
      ),
    );
  const head = () => nodes[windowed[state.step].chain[0]];
  function move(by) {
    const [H, W] = head().shape,
      at = (state.row * W + state.column + by + H * W) % (H * W);
    state.row = Math.floor(at / W);
    state.column = at % W;
  }
  let before = 0,
    debt = 0;
  function frame(now) {
    if (!state.playing) {
      before = 0;
      return;
    }
    debt += before ? Math.min(0.2, (now - before) / 1000) * state.speed : 0;
    before = now;
    if (debt >= 1) {
      move(Math.floor(debt));
      debt %= 1;
      update(true);
    }
    frames.push(now);
    if (frames.length > 300) frames.shift();
    requestAnimationFrame(frame);
  }
  function rebuild() {
    const chosen = windowed[state.step],
      node = head(),
      source = valueOf(node.inputs[0]),
      [high, wide] = node.window,
      result = valueOf(chainEnd(chosen)),
      alone = node.kind === "depthwise"; /* each map has an input channel of its own */
    parts = {
      node,
      chosen,
      source,
      result,
      w: weightsOf(node),
      alone,
      box: el("div", { class: "box" }),
      input: view("", (y, x) => {
        const m = margins(node, source.shape);
        state.row = Math.min(node.shape[0] - 1, Math.round((y + m[0] - (high - 1) / 2) / node.stride[0]));
        state.column = Math.min(node.shape[1] - 1, Math.round((x + m[1] - (wide - 1) / 2) / node.stride[1]));
        state.row = Math.max(0, state.row);
        state.column = Math.max(0, state.column);
        update();
      }),
      output: view("", (y, x) => {
        state.row = y;
        state.column = x;
        update();
      }),
      overlap: view(""),
      sums: view("", (y, x) => chooseInput(y, x)),
      windows: view("", (y, x) => chooseInput(y / (high + 1), x / (wide + 1))),
      kernels: view("", (y, x) => chooseInput(y / (high + 1), x / (wide + 1))),
      under: cells(high, wide, "Values under the window"),
      kernel: cells(high, wide, "Kernel"),
      products: cells(high, wide, "Products"),
      formula: el("p", { class: "formula", id: "formula" }),
      fine: el("p", { class: "note" }),
    };
    drawUse(parts.overlap, node, source);
    parts.across = source.shape[2] <= 4 ? source.shape[2] : Math.ceil(Math.sqrt(source.shape[2]));
    stage.replaceChildren(...windowLayout(parts));
    Object.assign(map.input, { max: node.shape[2] - 1, value: state.map });
    Object.assign(input.input, { max: source.shape[2] - 1, value: state.input });
    row.input.max = node.shape[0] - 1;
    column.input.max = node.shape[1] - 1;
    input.label.hidden = source.shape[2] === 1 || alone;
    redrawInput(true);
    redrawMap();
  }
  function chooseInput(y, x) {
    state.input = Math.min(parts.source.shape[2] - 1, Math.floor(y) * parts.across + Math.floor(x));
    input.input.value = state.input;
    redrawInput();
  }
  function redrawInput(quiet) {
    const [H, W, C] = parts.source.shape;
    parts.input.draw(channel(parts.source, state.input), H, W, null, parts.node.inputs[0] < 0 || C <= 3 ? gray : heat);
    parts.input.say([
      el("b", {}, C === 1 ? "Input" : `Input, channel ${state.input} of 0 to ${C - 1}`),
      `${H} × ${W}${C === 1 ? "" : parts.alone ? ` × ${C} channels; each is taken by itself and makes one map` : ` × ${C} channels; the window covers all of them at once`}. Click to place the window. ${parts.node.shape[1] === 1 ? "" : parts.node.stride[1] < parts.node.window[1] ? "Shaded: the next window, which overlaps this one." : "Shaded: the next window."}`,
    ]);
    if (!quiet) update();
  }
  function redrawMap() {
    const [H, W] = parts.result.shape;
    if (parts.alone) {
      state.input = state.map;
      redrawInput(true);
    }
    parts.output.draw(channel(parts.result, state.map), H, W);
    parts.output.say([el("b", {}, `Output, feature map ${state.map}`), `${H} × ${W}. Click any pixel.`]);
    update();
  }
  function update(moving) {
    const { node, source, chosen, alone } = parts,
      [high, wide] = node.window,
      C = source.shape[2],
      found = windowInNumbers(parts, state);
    parts.under.set(found.under, C <= 3 ? gray : heat);
    parts.kernel.set(found.kernel, signed);
    parts.products.set(found.products, signed);
    parts.input.frame(found.top, found.left, high, wide);
    if (state.column + 1 < node.shape[1]) parts.input.shade(found.top, found.left + node.stride[1], high, wide);
    parts.output.frame(state.row, state.column, 1, 1);
    const [top, left, bottom, right] = onPhoto(fieldOf(chosen.chain[0], state.row, state.column));
    Object.assign(parts.box.style, {
      top: `${100 * top}%`,
      left: `${100 * left}%`,
      height: `${100 * (bottom - top)}%`,
      width: `${100 * (right - left)}%`,
    });
    parts.formula.textContent = pixelInWords(parts, state, found.sums);
    if (!moving)
      parts.fine.textContent = `Output pixel (${state.row}, ${state.column}).${found.outside ? " 0*: the window reaches over the edge, where zeros stand (padding)." : ""} Window ${high} × ${wide}, stride ${node.stride.join(" × ")}.`;
    if (C > 1 && !alone) {
      drawChannels(parts, state, found);
      if (!moving) sayChannels(parts, C);
    }
    row.input.value = state.row;
    column.input.value = state.column;
  }
  goTo = (numberOfStep, channelOfMap) => {
    const i = windowed.findIndex((s) => s === steps[numberOfStep]);
    if (i < 0) return false;
    state.step = i;
    start();
    if (channelOfMap !== state.map) {
      const values = channel(valueOf(chainEnd(windowed[i])), channelOfMap),
        at = values.indexOf(Math.max(...values)),
        W = head().shape[1];
      Object.assign(state, { map: channelOfMap, row: Math.floor(at / W), column: at % W });
    }
    layer.select.value = i;
    rebuild();
    byId("window").scrollIntoView();
    return true;
  };
  rebuild();
}
const frames = [];
const mapped = steps
  .map((s, i) => i)
  .filter(
    (i) =>
      nodes[chainEnd(steps[i])].shape.length === 3 &&
      (nodes[chainEnd(steps[i])].values || nodes[chainEnd(steps[i])].levels),
  );
function showMaps() {
  const host = byId("maps-tool"),
    grid = el("div", { class: "maps" }),
    close = el("div", { class: "row two" }),
    said = el("p", { class: "note" });
  const state = {
    step: mapped.find((i) => !["scale", "mirror", "concatenate"].includes(steps[i].kind)) ?? mapped[0],
    map: 0,
    scale: 0,
  };
  state.map = liveliest(valueOf(chainEnd(steps[state.step]))).map;
  host.append(
    el(
      "div",
      { class: "strip", tabindex: 0, role: "region", "aria-label": "All layers in order" },
      ...steps.map((s) =>
        el(
          "span",
          {},
          el("b", {}, nodes[s.chain[0]].label),
          `${KIND[s.kind]}${
            s.chain.length > 1
              ? " + " +
                s.chain
                  .slice(1)
                  .map((i) => (nodes[i].kind === "activation" ? nodes[i].activation : nodes[i].kind))
                  .join(" + ")
              : ""
          }`,
          el("br"),
          nodes[chainEnd(s)].shape.join(" × "),
        ),
      ),
    ),
  );
  if (model.network.startsWith("fast"))
    host.append(
      el(
        "p",
        { class: "note" },
        "After training, the normalization of each convolution was folded into its kernel and bias: the same function, computed faster. An addition joins a block's result to its input, so that the block needs to learn only the difference.",
      ),
    );
  const layer = choice(
    "Layer",
    mapped.map((i) => [i, title(nodes[steps[i].chain[0]])]),
    (v) => {
      state.step = v;
      state.map = liveliest(valueOf(chainEnd(steps[v]))).map;
      draw();
    },
  );
  layer.select.value = state.step;
  const scale = choice(
    "Colour scale",
    [
      [0, "one for this layer"],
      [1, "one for all layers"],
      [2, "each map its own"],
    ],
    (v) => {
      state.scale = v;
      draw();
    },
  );
  host.append(el("div", { class: "controls" }, layer.label, scale.label), said, close, grid);
  const missing = steps.filter((s, i) => nodes[chainEnd(s)].shape.length === 3 && !mapped.includes(i));
  if (missing.length)
    host.append(
      el(
        "p",
        { class: "note" },
        `Left out for the page's size: the maps of ${missing.map((s) => nodes[s.chain[0]].label).join(", ")}. The check at the end compares 256 values of each.`,
      ),
    );
  let all = null;
  function limits(maps, c) {
    if (state.scale === 2) return range(channel(maps, c));
    if (state.scale === 0) return range(maps.values);
    return (all ||= mapped
      .map((i) => range(valueOf(chainEnd(steps[i])).values))
      .reduce(([a, b], [c2, d]) => [Math.min(a, c2), Math.max(b, d)]));
  }
  function draw() {
    const end = chainEnd(steps[state.step]),
      maps = valueOf(end),
      [H, W, C] = maps.shape;
    const [low, high] = limits(maps, state.map),
      ramp = el("canvas", { class: "ramp", role: "img", "aria-label": "Colour scale, low to high" });
    paint(
      ramp,
      Float64Array.from({ length: 64 }, (_, i) => i),
      1,
      64,
      [0, 63],
    );
    said.replaceChildren(
      `${C} ${C === 1 ? "map" : "maps"} of ${H} × ${W}. Colours: ${num(low, 2)}`,
      ramp,
      num(high, 2),
      nodes[end].values ? "" : ". Shown in 256 levels, to keep the page small",
    );
    grid.replaceChildren(
      ...Array.from({ length: C }, (_, c) => {
        const canvas = el("canvas", { "aria-hidden": "true" });
        paint(canvas, channel(maps, c), H, W, limits(maps, c));
        return el(
          "button",
          {
            type: "button",
            "aria-pressed": c === state.map ? "true" : "false",
            "aria-label": `Map ${c}`,
            onclick: (e) => {
              state.map = c;
              grid.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", "false"));
              e.currentTarget.setAttribute("aria-pressed", "true");
              closer();
            },
          },
          canvas,
          String(c),
        );
      }),
    );
    closer();
  }
  function closer() {
    const end = chainEnd(steps[state.step]),
      maps = valueOf(end),
      [H, W] = maps.shape,
      big = view(""),
      values = channel(maps, state.map);
    big.draw(values, H, W, limits(maps, state.map));
    const [low, high] = range(values);
    big.say([
      el("b", {}, `${nodes[steps[state.step].chain[0]].label}, map ${state.map}`),
      `From ${num(low)} to ${num(high)}; ${percent(values.filter((v) => v > 0).length / values.length)} of its pixels are above zero.`,
    ]);
    const canWalk = windowed.includes(steps[state.step]),
      found = data.exciting?.layers[end]?.[state.map];
    const side = el(
      "div",
      {},
      canWalk ? el("button", { type: "button", onclick: () => goTo(state.step, state.map) }, "Follow its window") : "",
    );
    if (found?.length)
      side.append(
        el("h3", {}, "Training pictures that excite it most"),
        el(
          "p",
          { class: "note" },
          `Of ${data.exciting.num_pictures} pictures from the train part, those in which this map has its largest value.`,
        ),
        el(
          "div",
          { class: "thumbs" },
          ...found.map((place) => el("img", { src: data.exciting.pictures[place], alt: "A training picture" })),
        ),
      );
    close.replaceChildren(big.figure, side);
  }
  draw();
}
function showPooling() {
  const host = byId("pooling-tool"),
    pools = steps.filter((s) => ["max_pooling", "average_pooling"].includes(s.kind));
  if (!pools.length) {
    const global = steps.findLast((s) => s.kind === "global_average");
    host.append(
      el(
        "p",
        {},
        global
          ? `This network has no max pooling: its convolutions take strides of 2 instead, so that the maps shrink. At the end, global average pooling (${nodes[global.chain[0]].name}) keeps one number of each map: its mean.`
          : "This network has no pooling.",
      ),
    );
    return;
  }
  const state = { pool: 0, map: 0, row: 0, column: 0, playing: false },
    input = view("", (y, x) => {
      const n = nodes[pools[state.pool].chain[0]];
      state.row = Math.min(n.shape[0] - 1, Math.floor(y / n.stride[0]));
      state.column = Math.min(n.shape[1] - 1, Math.floor(x / n.stride[1]));
      update();
    }),
    output = view("", (y, x) => {
      state.row = y;
      state.column = x;
      update();
    });
  Object.assign(state, liveliest(valueOf(chainEnd(pools[0]))));
  const said = el("p", { class: "formula" }),
    under = el("div");
  const what = () => (pools[state.pool].kind === "max_pooling" ? "keeps only the largest value" : "keeps the mean");
  const layer = choice(
    "Layer",
    pools.map((s, i) => [i, title(nodes[s.chain[0]])]),
    (v) => {
      Object.assign(state, { pool: v }, liveliest(valueOf(chainEnd(pools[v]))));
      draw();
    },
  );
  const [map, row, column] = placeFields(
    state,
    () => draw(),
    () => update(),
  );
  const move = (by) => {
    const n = nodes[pools[state.pool].chain[0]],
      total = n.shape[0] * n.shape[1],
      at = (state.row * n.shape[1] + state.column + by + total) % total;
    state.row = Math.floor(at / n.shape[1]);
    state.column = at % n.shape[1];
    update();
  };
  const play = playButton(state, () => {
    let last = 0;
    const go = (now) => {
      if (!state.playing) return;
      if (now - last > 120) {
        last = now;
        move(1);
      }
      requestAnimationFrame(go);
    };
    requestAnimationFrame(go);
  });
  const intro = el("p"),
    holder = el("div", { class: "row two" }, input.figure, output.figure);
  host.append(
    intro,
    el(
      "div",
      { class: "controls" },
      layer.label,
      map.label,
      row.label,
      column.label,
      play,
      el("button", { type: "button", onclick: () => move(-1) }, "Step back"),
      el("button", { type: "button", onclick: () => move(1) }, "Step"),
    ),
    holder,
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "The values under the pooling window" },
      under,
    ),
    said,
  );
  let grid = null;
  function draw() {
    const node = nodes[pools[state.pool].chain[0]],
      source = valueOf(node.inputs[0]),
      result = valueOf(pools[state.pool].chain.at(-1)),
      limits = range(channel(source, state.map));
    intro.textContent = `Pooling makes the map smaller and simpler: of each window of ${node.window.join(" × ")} it ${what()}. Where a pattern is found matters less then; that it is found stays.`;
    map.input.max = node.shape[2] - 1;
    row.input.max = node.shape[0] - 1;
    column.input.max = node.shape[1] - 1;
    map.input.value = state.map;
    input.draw(channel(source, state.map), source.shape[0], source.shape[1], limits);
    output.draw(channel(result, state.map), node.shape[0], node.shape[1], limits);
    input.say([
      el("b", {}, `Before: map ${state.map}`),
      `${source.shape[0]} × ${source.shape[1]}. Click to place the window.`,
    ]);
    output.say([el("b", {}, "After"), `${node.shape[0]} × ${node.shape[1]}, same colours.`]);
    grid = cells(...node.window, "Values under the window");
    under.replaceChildren(grid.grid);
    update();
  }
  function update() {
    const node = nodes[pools[state.pool].chain[0]],
      source = valueOf(node.inputs[0]),
      [H, W, C] = source.shape,
      m = margins(node, source.shape),
      y0 = state.row * node.stride[0] - m[0],
      x0 = state.column * node.stride[1] - m[1],
      values = [];
    for (let i = 0; i < node.window[0]; i++)
      for (let j = 0; j < node.window[1]; j++) {
        const y = y0 + i,
          x = x0 + j;
        values.push(y >= 0 && x >= 0 && y < H && x < W ? source.values[(y * W + x) * C + state.map] : null);
      }
    grid.set(values, heat);
    const inside = values.filter((v) => v !== null),
      best = Math.max(...inside),
      place = values.indexOf(best),
      theirs = valueOf(pools[state.pool].chain.at(-1)).values[
        (state.row * node.shape[1] + state.column) * C + state.map
      ];
    [...grid.grid.children].forEach((cell, i) => {
      cell.style.outline = i === place && pools[state.pool].kind === "max_pooling" ? "3px solid #c2410c" : "";
    });
    input.frame(y0, x0, ...node.window);
    output.frame(state.row, state.column, 1, 1);
    const ours = pools[state.pool].kind === "max_pooling" ? best : inside.reduce((a, b) => a + b, 0) / inside.length;
    said.textContent =
      pools[state.pool].kind === "max_pooling"
        ? `The largest of ${inside.length} values is ${num(ours)} (framed). The model has ${num(theirs)}; difference ${tiny(Math.abs(ours - theirs))}.`
        : `The mean of ${inside.length} values is ${num(ours)}. The model has ${num(theirs)}.`;
    row.input.value = state.row;
    column.input.value = state.column;
  }
  draw();
}
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
      el("button", { type: "button", onclick: () => reset() }, "Back to the model"),
      el(
        "button",
        {
          type: "button",
          onclick: () => {
            each((i) => -own.kernel[i]);
          },
        },
        "Turn the signs",
      ),
      el(
        "button",
        {
          type: "button",
          onclick: () => {
            each(() => 0);
          },
        },
        "All zero",
      ),
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
function overPhoto(values, H, W, limits, color, caption, words) {
  const photo = data.picture.steps[data.picture.steps.length - 1],
    one = view(""),
    canvas = one.canvas;
  one.draw(values, H, W, limits, color);
  one.say([el("b", {}, caption), words]);
  const context = canvas.getContext("2d"),
    image = context.getImageData(0, 0, W, H),
    most = Math.max(Math.abs(limits[0]), Math.abs(limits[1])) || 1;
  for (let i = 0; i < H * W; i++) image.data[4 * i + 3] = 40 + 175 * Math.min(1, Math.abs(values[i]) / most);
  context.putImageData(image, 0, 0);
  canvas.classList.add("over");
  const under = el("img", { src: photo.image, alt: "", class: "small" });
  under.style.maxHeight = "none";
  canvas.parentElement.prepend(under);
  return one.figure;
}
function activationMap(label) {
  /* the last maps, weighted for a class; the mean of both views where the network also looks at the mirror image */
  const K = names.length;
  let found = null;
  for (const end of heads) {
    const pooled = nodes[nodes[end].inputs[0]],
      maps = pooled?.kind === "global_average" && nodes[end].weights ? valueOf(pooled.inputs[0]) : null;
    if (!maps) return null;
    const [H, W, C] = maps.shape,
      w = weightsOf(nodes[end]);
    found ||= { cam: new Float64Array(H * W), H, W, total: 0 };
    for (let y = 0; y < H; y++)
      for (let x = 0; x < W; x++) {
        let sum = 0;
        for (let c = 0; c < C; c++) sum += maps.values[(y * W + x) * C + c] * w.kernel[c * K + label];
        found.cam[y * W + (mirrored[end] ? W - 1 - x : x)] += sum / heads.length;
      }
    found.total += w.bias[label] / heads.length;
  }
  if (found) found.total += found.cam.reduce((a, b) => a + b, 0) / (found.H * found.W);
  return found;
}
function showWhere() {
  const host = byId("where-tool"),
    best = data.probabilities.indexOf(Math.max(...data.probabilities));
  const { side, falls } = data.occlusion,
    most = Math.max(...falls.map(Math.abs), 1e-9);
  host.append(
    overPhoto(
      Float64Array.from(falls),
      side,
      side,
      [-most, most],
      signed,
      "Occlusion map",
      `Each of ${side} × ${side} squares was hidden in grey, and the whole network asked again. Green: the probability of “${names[best]}” falls without it (by at most ${percent(Math.max(0, ...falls))}); orange: it rises. This is an experiment with the network: it shows what the answer depends on, square by square.`,
    ),
  );
  const found = activationMap(best);
  if (found) {
    const { cam, H, W } = found,
      [low, high] = range(cam);
    totals.activation = found.total;
    host.append(
      overPhoto(
        cam,
        H,
        W,
        [Math.min(low, 0), Math.max(high, 0)],
        signed,
        "Class activation map",
        `Each place of the last maps (${H} × ${W}), weighted as the output layer does for “${names[best]}”.${heads.length > 1 ? " The maps of the mirror image were turned back, and this is the mean of both views." : ""} Green adds to its logit, orange takes away; their mean and the bias give ${num(found.total)}, and the model's logit is ${num(data.logits[best])}. A place sees far more of the picture than its own square.`,
      ),
    );
  } else
    host.append(
      el(
        "p",
        { class: "note" },
        "There is no class activation map: it needs an output layer that follows global average pooling directly, as in fast and pretrained. In classic, the fully connected layer weighs each place on its own.",
      ),
    );
}
function showCheck(result) {
  const host = byId("check-tool"),
    check = data.check;
  byId("status").replaceChildren(
    el(
      "span",
      { class: result.good ? "good" : "bad" },
      result.good ? "✓ Calculated again in your browser" : "✗ Your browser's numbers differ",
    ),
    ` in ${result.seconds.toFixed(2)} s: ${result.logits === null ? "" : `logits differ by at most ${tiny(result.logits)}, `}layers by ${tiny(result.relative)} of their largest value`,
  );
  host.append(
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
      `Once for this model, Python's formulas were compared with Keras ${check.keras} on ${check.num_pictures} fixed pictures, layer by layer. Allowed: 1e-4 of a layer's largest absolute value, 1e-4 for logits, 1e-5 for probabilities.`,
    ),
    table(
      "The largest differences",
      ["of the answer", "browser and Python, this picture", "Python and Keras, fixed pictures"],
      [
        ["logits", result.logits === null ? "not computed" : tiny(result.logits), tiny(check.logits)],
        [
          "probabilities",
          result.probabilities === null ? "not computed" : tiny(result.probabilities),
          tiny(check.probabilities),
        ],
      ],
    ),
    el("h3", {}, "Layer by layer"),
    table(
      "Difference, as a share of the layer's largest value",
      ["layer", "kind", "size", "browser", "Keras"],
      nodes.map((node, i) => {
        const c = checks[i],
          k = check.layers[i];
        return [
          node.label,
          KIND[node.kind],
          node.shape.join(" × "),
          c.difference !== null && node.largest
            ? tiny(c.difference / node.largest)
            : c.computed
              ? "inner value"
              : node.left_out
                ? "weights left out"
                : "not computed",
          k.largest ? tiny(k.difference / k.largest) : "0",
        ];
      }),
    ),
  );
  if (result.learnt.length) host.append(...epochByEpoch(result.learnt));
  window.walk = { result, frames, totals, logits: () => data.logits };
  document.documentElement.dataset.ready = "yes";
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
showAnswer();
showPicture();
showPixels();
checkAll().then(checkLearnt).then((result) => {
  showWay();
  showWindow();
  showMaps();
  showPooling();
  showOutput();
  showWhatIf();
  showLearnt();
  showWhere();
  showCheck(result);
});
