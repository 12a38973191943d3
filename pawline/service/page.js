// Sends one picture to the service that this page came from, and shows its answer.
"use strict";

const MOST_CLASSES = 10;
const byId = (id) => document.getElementById(id);

async function ask(file) {
  if (!file) return;
  showMessage("");
  byId("drop").setAttribute("aria-busy", "true");
  try {
    const form = new FormData();
    form.append("picture", file, "picture");  // the name stays here
    const started = performance.now();
    const response = await fetch("predict?maps=true", { method: "POST", body: form });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    show(answer.predictions[0], performance.now() - started);
    await offerWalk(file);
  } catch (error) {
    byId("answer").hidden = true;
    showMessage(error instanceof TypeError ? "The service does not answer: is it still running?" : error.message);
  } finally {
    byId("drop").removeAttribute("aria-busy");
  }
}

function show(prediction, milliseconds) {
  const ranked = Object.entries(prediction.probabilities).sort((one, other) => other[1] - one[1]);
  byId("label").textContent = `${prediction.label}, ${percent(ranked[0][1])}`;
  byId("unsure").hidden = !prediction.unsure;
  byId("classes").tBodies[0].replaceChildren(...ranked.slice(0, MOST_CLASSES).map(row));
  byId("time").textContent = `${Math.round(milliseconds)} ms from sending to answer, the map included.`;
  byId("seen").src = prediction.seen;
  byId("kind").textContent = {
    "class activation": "Class activation: what each place of the last feature maps adds to this class.",
    "occlusion": "Occlusion: how much the probability falls when the place is covered in grey.",
  }[prediction.map.kind];
  drawHeat(prediction.map.values);
  byId("answer").hidden = false;
}

function row([name, probability]) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const number = document.createElement("td");
  number.className = "number";
  number.textContent = percent(probability);
  const bar = document.createElement("td");
  bar.className = "bar";
  const meter = document.createElement("meter");
  meter.value = probability;
  meter.setAttribute("aria-label", `${name}: ${percent(probability)}`);
  bar.append(meter);
  line.append(head, number, bar);
  return line;
}

// Places that speak for the class are warm, places that speak against it are blue; strength is opacity.
function drawHeat(values) {
  const rows = values.length, columns = values[0].length;
  const largest = Math.max(...values.flat().map(Math.abs)) || 1;
  const small = new ImageData(columns, rows);
  values.flat().forEach((value, at) => {
    small.data.set(value > 0 ? [255, 120, 0] : [0, 90, 255], 4 * at);
    small.data[4 * at + 3] = 255 * Math.abs(value) / largest;
  });
  const source = new OffscreenCanvas(columns, rows);
  source.getContext("2d").putImageData(small, 0, 0);
  const canvas = byId("heat");
  canvas.width = canvas.height = 480;
  canvas.getContext("2d").drawImage(source, 0, 0, 480, 480);
}

function percent(fraction) {
  return `${(100 * fraction).toFixed(1)} %`;
}

function showMessage(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

// The walk is a page of a few megabytes that the service makes of the same picture, in a tab of its own.
async function offerWalk(file) {
  const { no_walk: reason } = await (await fetch("readyz")).json();
  byId("walk").hidden = Boolean(reason);
  byId("no-walk").hidden = !reason;
  byId("no-walk").textContent = reason ? `${reason[0].toUpperCase()}${reason.slice(1)}.` : "";
  const picked = new DataTransfer();
  picked.items.add(new File([file], "picture", { type: file.type }));  // the name stays here
  byId("walked").files = picked.files;
}

async function showModel() {
  const { model, class_names: names } = await (await fetch("readyz")).json();
  const shown = names.slice(0, 8).join(", ") + (names.length > 8 ? `, … (${names.length} classes)` : "");
  byId("about").textContent = `The model ${model.slice(0, 12)} tells apart: ${shown}.`;
}

const drop = byId("drop");
for (const type of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", type === "dragover");
  });
}
drop.addEventListener("drop", (event) => ask(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => ask(event.clipboardData.files[0]));
for (const id of ["file", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    ask(event.target.files[0]);
    event.target.value = "";  // so that the same picture may be chosen again
  });
}
byId("show").addEventListener("change", (event) => { byId("heat").hidden = !event.target.checked; });
showModel();
