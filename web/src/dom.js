// Elements. Texts only ever become text nodes: what a label says is never read as HTML.

// el("a", { href: "..", onclick: f }, "text", child): attributes, listeners, then children.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "disabled") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// A table; each row is a list of texts or nodes. Numbers stand to the right.
export function table(heads, rows, empty = "nothing") {
  if (rows.length === 0) return el("p", { class: "empty" }, empty);
  const kind = (value) => (typeof value === "number" ? "number" : null);
  const cell = (value) => el("td", { class: kind(value) },
    typeof value === "number" ? value.toLocaleString("en") : value ?? "");
  return el("div", { class: "scroll" },
    el("table", {},
      el("thead", {}, el("tr", {}, ...heads.map((head, i) =>
        el("th", { class: kind(rows[0][i]) }, head)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell))))));
}

export function section(title, ...children) {
  return el("section", {}, el("h2", {}, title), ...children);
}

export function message(kind, text) {
  return el("p", { class: `message ${kind}`, role: kind === "error" ? "alert" : "status" }, text);
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}
