// What the page shows, as the parameters of its address: those of Prometheus' graph page, so that
// its links work here. gN.expr: a query; g0.*: what all of them share.

import { absolute } from "./time.js";

export function readState(search = location.search) {
  const parameters = new URLSearchParams(search);
  const queries = [];
  for (let i = 0; parameters.has(`g${i}.expr`); i++) queries.push(parameters.get(`g${i}.expr`));
  const first = (name, otherwise) => parameters.get(`g0.${name}`) ?? otherwise;
  return {
    view: ["explore", "operate", "console"].find((view) => view === parameters.get("view")) ?? "graph",
    queries: queries.length > 0 ? queries : [""],
    range: first("range_input", "1h"),
    end: absolute(first("end_input", ""), "Z"),
    step: first("step_input", ""),
    table: ["1", "table"].includes(first("tab", "0")),
    stacked: ["1", "stacked"].includes(first("stacked", first("display_mode", "0"))),
    log: first("log", "0") === "1",
    refresh: first("refresh", ""),
    match: parameters.get("match") ?? "",
    chunks: parameters.get("chunks") === "1",
  };
}

export function stateSearch(state) {
  const parameters = new URLSearchParams();
  if (state.view !== "graph") return `?${viewSearch(state)}`;
  state.queries.forEach((text, i) => parameters.set(`g${i}.expr`, text));
  parameters.set("g0.range_input", state.range);
  if (state.end) parameters.set("g0.end_input", state.end);
  if (state.step) parameters.set("g0.step_input", state.step);
  if (state.table) parameters.set("g0.tab", "1");
  if (state.stacked) parameters.set("g0.stacked", "1");
  if (state.log) parameters.set("g0.log", "1");
  if (state.refresh) parameters.set("g0.refresh", state.refresh);
  return `?${parameters}`;
}

function viewSearch({ view, match, chunks }) {
  const parameters = new URLSearchParams({ view });
  if (match) parameters.set("match", match);
  if (match && chunks) parameters.set("chunks", "1");
  return parameters;
}

// Links within the page.
export function graphLink(expression, more = {}) {
  return `?${new URLSearchParams({ "g0.expr": expression, ...more })}`;
}

export function seriesLink(match, chunks = false) {
  return `?${viewSearch({ view: "explore", match, chunks })}`;
}

// Writes the address; `step` makes it one of the browser's back button.
export function writeState(state, step = true) {
  const search = stateSearch(state);
  if (search === location.search) return;
  history[step ? "pushState" : "replaceState"](null, "", search);
}
