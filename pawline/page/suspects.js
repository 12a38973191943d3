"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const cards = [...document.querySelectorAll("li[data-number]")];
const who = document.getElementById("who");
const decided = new Map(); // number of a row -> label
const done = []; // numbers, in the order of the decisions
let current = 0;
let saved = true;

function mark(number) {
  if (!cards.length) return;
  current = Math.min(Math.max(number, 0), cards.length - 1);
  cards.forEach((card) => card.removeAttribute("aria-current"));
  cards[current].setAttribute("aria-current", "true");
}

function show(number) {
  mark(number);
  if (!cards.length) return;
  cards[current].focus({ preventScroll: true });
  cards[current].scrollIntoView({ block: "center" });
}

function decide(number, label) {
  decided.set(number, label);
  done.push(number);
  saved = false;
  draw(number);
  const next = cards.findIndex((_, place) => place > number && !decided.has(place));
  const first = cards.findIndex((_, place) => !decided.has(place));
  show(next >= 0 ? next : first >= 0 ? first : number);
}

function undo() {
  const number = done.pop();
  if (number === undefined) return;
  decided.delete(number);
  draw(number);
  show(number);
}

function draw(number) {
  const label = decided.get(number);
  const words = label === undefined ? "" : label === data.none ? "none of the classes" : "is " + label;
  cards[number].querySelector(".verdict").textContent = words;
  cards[number].classList.toggle("done", label !== undefined);
  document.getElementById("count").textContent = decided.size + " of " + cards.length + " decided";
  document.getElementById("save").disabled = decided.size === 0;
}

function csv() {
  const today = new Date().toISOString().slice(0, 10);
  const quoted = (value) => '"' + value.replaceAll('"', '""') + '"';
  const lines = [...decided].map(([number, label]) => {
    const row = data.rows[number];
    return [row.digest, row.path, label, who.value.trim(), today].map(quoted).join(",");
  });
  return [data.columns.join(","), ...lines, ""].join("\n");
}

function save() {
  if (!decided.size) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "decisions.csv";
  link.click();
  saved = true;
}

const keys = {
  k: () => data.rows[current].label && decide(current, data.rows[current].label),
  Enter: () => decide(current, data.rows[current].suggested),
  n: () => decide(current, data.none),
  u: undo,
  s: save,
  ArrowRight: () => show(current + 1),
  ArrowDown: () => show(current + 1),
  ArrowLeft: () => show(current - 1),
  ArrowUp: () => show(current - 1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|BUTTON)$/.test(event.target.tagName)) return;
  const named = data.classes[Number(event.key) - 1];
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key; // the page names the keys in capitals
  const act = keys[key] || (named !== undefined && (() => decide(current, named)));
  if (!act || !cards.length) return;
  event.preventDefault();
  act();
});

cards.forEach((card, number) => {
  card.addEventListener("focusin", () => mark(number));
  card.querySelectorAll("button").forEach((button) =>
    button.addEventListener("click", () => decide(number, button.value)));
  const other = card.querySelector("select");
  if (other) other.addEventListener("change", () => { if (other.value) decide(number, other.value); });
});
document.getElementById("save").addEventListener("click", save);
document.getElementById("undo").addEventListener("click", undo);
window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
mark(0);
