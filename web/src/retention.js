// Retention: whether deletions by age are held back, and what the next pass would drop.
import { ask, post } from "./api.js";
import { button, el, facts, message, moment, swapIn, table } from "./dom.js";
import { formatBytes, formatCount } from "./format.js";
import { seriesName } from "./series.js";

const DOUBTS = {
  ahead: "the clock is far ahead of the newest sample",
  jumped: "the clock has jumped",
  quiet: "no sample has come for long, or the clock is wrong",
};

function ruleName({ kind, rule }) {
  return kind === "rule" ? rule : el("em", {}, rule);
}

// A bar for each rule that drops something, the longest for the most bytes.
function bars(rules) {
  const most = Math.max(...rules.map((rule) => rule.bytes));
  return el("div", { class: "bars", role: "img", "aria-label": "bytes by rule" },
    ...rules.map((rule) => {
      const bar = el("span", { class: "bar", "data-bytes": rule.bytes });
      bar.style.width = `${Math.max(0.5, (100 * rule.bytes) / most)}%`;
      return el("div", { class: "bar-row" }, el("span", { class: "bar-name" }, ruleName(rule)),
        el("span", { class: "bar-track" }, bar), el("span", { class: "bar-value" },
          formatBytes(rule.bytes)));
    }));
}

function examples(rules) {
  const shown = rules.filter((rule) => rule.examples.length > 0);
  if (shown.length === 0) return null;
  return el("details", {}, el("summary", {}, "Series that lose most"), table(
    ["series", "rule", "chunks"], shown.flatMap((rule) => rule.examples.map((one) => [
      el("code", {}, seriesName(one.labels)), ruleName(rule), one.chunks]))));
}

function summary(plan) {
  const sum = (name) => plan.rules.reduce((all, rule) => all + rule[name], 0);
  const bytes = sum("bytes");
  if (bytes === 0) {
    return el("p", {}, `The next pass would drop nothing of ${formatCount(plan.series)} series.`);
  }
  return facts([["would drop", formatBytes(bytes)], ["samples", formatCount(sum("samples"))],
    ["chunks", formatCount(sum("chunks"))],
    ["series", `${formatCount(sum("series"))} of ${formatCount(plan.series)}`],
    ["series that go whole", formatCount(sum("series_gone"))]]);
}

async function plan() {
  const { data } = await post("admin/tsdb/plan", {});
  const rules = data.rules.sort((a, b) => b.bytes - a.bytes);
  const dropping = rules.filter((rule) => rule.bytes > 0);
  const time = (ms) => (ms === null ? "" : moment(ms));
  return [
    el("p", { class: "took" }, "as of ", moment(data.time_ms)),
    summary(data),
    dropping.length > 0 ? bars(dropping) : "",
    table(["rule", "decides for", "drops of series", "whole", "chunks", "samples", "bytes", "oldest",
      "newest"], rules.map((rule) => [ruleName(rule), rule.decides, rule.series,
      rule.series_gone, rule.chunks, rule.samples, rule.bytes, time(rule.oldest_ms),
      time(rule.newest_ms)]), "no rules and no series"),
    data.damaged > 0 ? message("warning", `${formatCount(data.damaged)} series have damaged files, ` +
      "which are not counted") : "",
    examples(rules) ?? "",
  ];
}

// Asked for by hand, since it looks at every series.
export function createPlan() {
  const shown = el("div", { class: "plan" });
  const ask_again = button("Plan the next pass", async () => {
    ask_again.disabled = true;
    await swapIn(shown, plan);
    ask_again.disabled = false;
  });
  return el("div", {}, ask_again, shown);
}

function clockHold(data, { why }) {
  return [`Nothing is deleted by age: ${DOUBTS[why] ?? why} (it says `, moment(data.wall_ms),
    ...(data.newest_sample_ms === null ? [] : [", the newest sample is of ",
      moment(data.newest_sample_ms)]), ")."];
}

function passHold({ since_ms, series, chunks, bytes, all_chunks }) {
  return ["A pass of retention is held since ", moment(since_ms), `: it would drop ` +
    `${formatCount(chunks)} of ${formatCount(all_chunks)} chunks (${formatBytes(bytes)}) of ` +
    `${formatCount(series)} series.`];
}

// What waits for somebody's word, with a button for it.
export async function held(acting) {
  const { data } = await ask("admin/tsdb/confirm");
  return data.holds.map((hold) => message("warning",
    ...(hold.kind === "clock" ? clockHold(data, hold) : passHold(hold)), " ",
    button(hold.kind === "clock" ? "The clock is right" : "Let it drop that",
      acting(() => post("admin/tsdb/confirm", { id: hold.id })))));
}
