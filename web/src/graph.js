// The view of graphs: queries, range and step, the chart or the table of what they found.
import { post } from "./api.js";
import { createChart } from "./chart.js";
import { button, el, message, table } from "./dom.js";
import { createEditor } from "./editor.js";
import { seriesName } from "./series.js";
import { writeState } from "./state.js";
import { absolute, autoStep, formatDuration, formatTime, isSeconds, parseDuration, parseTime } from "./time.js";

const RANGES = ["5m", "15m", "1h", "3h", "6h", "12h", "1d", "2d", "1w", "2w", "30d", "1y"];
const REFRESHES = [["", "off"], ["5s", "5 s"], ["15s", "15 s"], ["1m", "1 min"]];
const TABLE_MOST = 2000;

// The axis that the state asks for: { from, to, step } in seconds. Throws what is wrong with it.
function axisOf(state) {
  const now = Date.now() / 1000;
  const range = parseDuration(state.range);
  if (!(range > 0)) throw new Error(`range "${state.range}": not a duration (try "1h")`);
  const end = parseTime(state.end, now);
  if (Number.isNaN(end)) {
    throw new Error(`end "${state.end}": not a time (try "now-2h" or "2026-01-31 12:00")`);
  }
  const step = state.step === "" ? autoStep(range) : parseDuration(state.step);
  if (!(step > 0)) throw new Error(`step "${state.step}": not a duration (try "30s")`);
  // Following the clock, all refreshes ask for the same points.
  const to = end ?? Math.ceil(now / step) * step;
  return { from: to - Math.ceil(range / step) * step, to, step };
}

export function createGraph(state) {
  let editors = [], chart = null, under_way = null, timer = null, gone = false;
  const list = el("div", { class: "queries" });
  const notes = el("div", { "aria-live": "polite" });
  const shown = el("div", { id: "result" });

  function texts() {
    return editors.map((editor) => editor.state.doc.toString().trim());
  }

  function clear() {
    chart?.destroy();
    chart = null;
    shown.replaceChildren();
  }

  function showTable(answers, asked) {
    const rows = answers.flatMap((answer, i) => {
      const { resultType, result } = answer.data;
      if (resultType === "scalar" || resultType === "string") return [[asked[i], result[1]]];
      return result.map((one) => [seriesName(one.metric), one.value ? one.value[1]
        : one.values.map(([time, value]) => `${value} @${time}`).join("\n")]);
    });
    clear();
    shown.append(table(["series", "value"], rows.slice(0, TABLE_MOST), "no data"));
    if (rows.length > TABLE_MOST) {
      shown.append(message("warning", `${rows.length} rows; the first ${TABLE_MOST} are shown`));
    }
  }

  function showChart(answers, { from, to }) {
    clear();
    const results = answers.map((answer) => answer.data.result);
    if (results.every((result) => result.length === 0)) {
      shown.append(message("info", "no data between " +
        `${formatTime(from)} and ${formatTime(to)}`));
      return;
    }
    chart = createChart(results, from, to, { stacked: state.stacked, log: state.log,
      onZoom: (low, high) => moveTo(low, high), onWiden: () => scale(1) });
    shown.append(chart.node);
  }

  function note(answers, took) {
    const series = answers.reduce((sum, { data }) =>
      sum + (Array.isArray(data.result) ? data.result.length : 1), 0);
    notes.replaceChildren(
      ...answers.flatMap((answer) => answer.warnings ?? []).map((text) => message("warning", text)),
      ...answers.flatMap((answer) => answer.infos ?? []).map((text) => message("info", text)),
      el("p", { class: "took" }, `${series} series in ${Math.round(took)} ms`));
  }

  async function run({ remember = true } = {}) {
    clearTimeout(timer);
    under_way?.abort();
    const mine = under_way = new AbortController();
    state.queries = texts();
    if (remember) writeState(state);
    const asked = state.queries.filter((text) => text !== "");
    if (asked.length === 0) {
      clear();
      notes.replaceChildren();
      return;
    }
    const began = performance.now();
    shown.setAttribute("aria-busy", "true");
    try {
      const axis = axisOf(state);
      const answers = await Promise.all(asked.map((text) => (state.table
        ? post("query", { query: text, time: axis.to }, mine.signal)
        : post("query_range", { query: text, start: axis.from, end: axis.to, step: axis.step },
          mine.signal))));
      if (gone || mine !== under_way) return;
      note(answers, performance.now() - began);
      if (state.table) showTable(answers, asked);
      else showChart(answers, axis);
    } catch (error) {
      if (gone || mine !== under_way) return;
      mine.abort(); // the other queries too
      clear();
      notes.replaceChildren(message("error", error.message));
    }
    shown.setAttribute("aria-busy", "false");
    const pause = parseDuration(state.refresh || "0");
    if (pause > 0) timer = setTimeout(() => run({ remember: false }), pause * 1000);
  }

  // --- queries

  function addQuery(text) {
    const editor = createEditor(text, { run, label: `query ${editors.length + 1}` });
    const row = el("div", { class: "query" }, editor.dom,
      button("×", () => removeQuery(editor, row), { title: "remove this query" }));
    editors.push(editor);
    list.append(row);
    return editor;
  }

  function removeQuery(editor, row) {
    if (editors.length === 1) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length } });
    } else {
      editors = editors.filter((one) => one !== editor);
      row.remove();
      editor.destroy();
    }
    run();
  }

  // --- time

  function set(key, value) {
    state[key] = value;
    fill();
    run();
  }

  function moveTo(low, high) {
    state.range = formatDuration(Math.max(5, high - low));
    state.end = String(Math.round(high));
    state.step = "";
    fill();
    run();
  }

  function shift(direction) {
    const { from, to } = axisOf(state);
    state.end = String(Math.round(to + direction * (to - from) / 2));
    fill();
    run();
  }

  // To the next longer or shorter of the usual ranges.
  function scale(direction) {
    const now = parseDuration(state.range);
    const beyond = (range) => direction * (parseDuration(range) - now) > 0;
    const next = direction > 0 ? RANGES.find(beyond) : RANGES.findLast(beyond);
    set("range", next ?? state.range);
  }

  const field = (key, label, attributes) => el("input", { "aria-label": label, title: label,
    spellcheck: "false", onchange: (event) => set(key, event.target.value.trim()), ...attributes });
  const range = field("range", "range", { list: "ranges", class: "range" });
  const end = field("end", "end of the range: now-2h, or a date", { placeholder: "now", class: "end",
    onchange: () => set("end", absolute(end.value.trim())) });
  const step = field("step", "step between points", { placeholder: "step: auto", class: "step" });
  const toggle = (key, text) => button(text, () => set(key, !state[key]), { "data-key": key });
  const toggles = [toggle("table", "Table"), toggle("stacked", "Stacked"), toggle("log", "Log")];
  const refresh = el("select", { "aria-label": "live refresh", title: "live refresh",
    onchange: (event) => set("refresh", event.target.value) },
  ...REFRESHES.map(([value, text]) => el("option", { value }, `refresh: ${text}`)));

  function fill() {
    range.value = state.range;
    end.value = isSeconds(state.end) ? formatTime(Number(state.end)) : state.end;
    step.value = state.step;
    refresh.value = state.refresh;
    for (const one of toggles) one.setAttribute("aria-pressed", String(state[one.dataset.key]));
  }

  const controls = el("div", { class: "controls" },
    button("Run", () => run(), { class: "primary", title: "Enter or Ctrl-Enter" }),
    button("Add query", () => addQuery("").focus()),
    el("span", { class: "group" }, button("−", () => scale(-1), { title: "shorter range" }), range,
      button("+", () => scale(1), { title: "longer range" })),
    el("span", { class: "group" }, button("‹", () => shift(-1), { title: "earlier" }), end,
      button("›", () => shift(1), { title: "later" }),
      button("Now", () => set("end", ""), { title: "follow the clock" })),
    step, el("span", { class: "group" }, ...toggles), refresh,
    el("datalist", { id: "ranges" }, ...RANGES.map((value) => el("option", { value }))));

  // "/" leads to the first query, as in other pages.
  const onSlash = (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey ||
        event.target.closest("input, select, .cm-editor")) return;
    event.preventDefault();
    editors[0].focus();
  };
  document.addEventListener("keydown", onSlash);

  state.queries.forEach(addQuery);
  fill();
  return {
    node: el("div", { class: "graph" }, list, controls, notes, shown),
    start() {
      if (texts().some((text) => text !== "")) run({ remember: false });
      else editors[0].focus();
    },
    destroy() {
      gone = true;
      document.removeEventListener("keydown", onSlash);
      clearTimeout(timer);
      under_way?.abort();
      clear();
      editors.forEach((editor) => editor.destroy());
    },
  };
}
