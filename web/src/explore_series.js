// The series of a selector, and the chunks of the first of them.
import { ask } from "./api.js";
import { chunksOf } from "./chunks.js";
import { button, el, message, section, swap, swapIn, table } from "./dom.js";
import { selectorOf, seriesName } from "./series.js";
import { graphLink, seriesLink, writeState } from "./state.js";

const SHOWN_MOST = 500;
const DRAWN_MOST = 10; // of which chunks are drawn

async function list(match) {
  const { data } = await ask("series", { "match[]": match, limit: SHOWN_MOST + 1 });
  return [
    table(["series", "", ""], data.slice(0, SHOWN_MOST).map((metric) => [
      el("code", {}, seriesName(metric)),
      el("a", { href: graphLink(selectorOf(metric)) }, "graph"),
      el("a", { href: seriesLink(selectorOf(metric), true) }, "chunks")]),
    "no series matches"),
    data.length > SHOWN_MOST ? message("warning", `the first ${SHOWN_MOST} series are listed`) : "",
  ];
}

async function chunks(match) {
  const { data } = await ask("admin/tsdb/chunks", { "match[]": match, limit: 20000 });
  if (data.series.length === 0) return message("info", "no series matches");
  return [...data.series.slice(0, DRAWN_MOST).map(chunksOf),
    data.more || data.series.length > DRAWN_MOST ? message("warning", "there are more than are drawn")
      : ""];
}

export function createSeries(state) {
  const shown = el("div");
  const input = el("input", { class: "selector", value: state.match, spellcheck: "false",
    "aria-label": "selector of series", placeholder: 'selector, such as up{job="web"}' });
  const go = (drawing) => {
    state.match = input.value.trim();
    state.chunks = drawing;
    writeState(state);
    show();
  };
  const show = () => (state.match === "" ? swap(shown, [])
    : swapIn(shown, () => (state.chunks ? chunks : list)(state.match)));
  const form = el("form", { class: "controls", onsubmit: (event) => {
    event.preventDefault();
    go(false);
  } }, input, el("button", { class: "primary" }, "Series"), button("Chunks", () => go(true)));
  return { node: section("Series", form, shown), start: show };
}
