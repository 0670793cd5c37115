// Elements. Texts only ever become text nodes: what a label says is never read as HTML.

import { formatTime } from "./time.js";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "disabled") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// el("a", { href: "..", onclick: f }, "text", child): attributes, listeners, then children.
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

// A table; each row is a list of texts or nodes. Numbers stand to the right.
export function table(heads, rows, empty = "nothing") {
  if (rows.length === 0) return el("p", { class: "empty" }, empty);
  const kind = (value) => (typeof value === "number" || value?.className === "figure" ? "number"
    : null);
  const cell = (value) => el("td", { class: kind(value) },
    typeof value === "number" ? value.toLocaleString("en") : value ?? "");
  return el("div", { class: "scroll" },
    el("table", {},
      el("thead", {}, el("tr", {}, ...heads.map((head, i) =>
        el("th", { class: kind(rows[0][i]) }, head)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell))))));
}

// Names and what they have, side by side: [[name, text or node], ...].
export function facts(list) {
  return el("dl", { class: "facts" }, ...list.filter(([, value]) => value !== null)
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

// A time in a table or a sentence, which is not torn apart.
export function moment(ms) {
  return el("time", { datetime: new Date(ms).toISOString() }, formatTime(ms / 1000));
}

export function section(title, ...children) {
  return el("section", {}, el("h2", {}, title), ...children);
}

export function message(kind, text, ...more) {
  return el("p", { class: `message ${kind}`, role: kind === "error" ? "alert" : "status" }, text,
    ...more);
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

const FOCUSABLE = "button, input, select, a[href], summary";

// Puts other children into a node; who stood on one of its controls stands on its successor.
export function swap(node, children) {
  const before = [...node.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  const open = [...node.querySelectorAll("details")].map((one) => one.open);
  node.replaceChildren(...[children].flat());
  node.querySelectorAll("details").forEach((one, i) => {
    one.open = open[i] ?? one.open;
  });
  if (before >= 0) [...node.querySelectorAll(FOCUSABLE)][before]?.focus();
}

// The same with what a promise brings, or with its error.
export async function swapIn(node, make) {
  try {
    swap(node, await make());
  } catch (error) {
    swap(node, message("error", error.message));
  }
}
