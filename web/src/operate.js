// The view for the operator: state, retention, queries under way, alerts, rules of scripts, what was
// put aside, trash.
import { ask, post } from "./api.js";
import { button, el, facts, message, moment, section, swap, table } from "./dom.js";
import { formatBytes, formatCount } from "./format.js";
import { createPlan, held } from "./retention.js";
import { formatDuration, formatTime } from "./time.js";

const EVERY_MS = 5000;

async function status() {
  const [{ data }, build] = await Promise.all([ask("status/runtimeinfo"), ask("status/buildinfo")]);
  const start = Date.parse(data.startTime) / 1000;
  const retention = Number.parseInt(data.storageRetention, 10);
  return facts([
    ["state", data.storageState],
    ["up", formatDuration(Date.parse(data.serverTime) / 1000 - start)],
    ["since", formatTime(start)],
    ["series in memory", formatCount(data.seriesInMemory)],
    ["series archived", formatCount(data.seriesArchived)],
    ["memory of the store", formatBytes(data.memoryBytes)],
    ["samples since the start", formatCount(data.samplesAppended)],
    ["retention", Number.isNaN(retention) ? data.storageRetention : formatDuration(retention)],
    ["damage found at the start", formatCount(data.corruptionCount)],
    ["host", data.hostname],
    ["version", build.data.revision],
  ]);
}

const QUERY_HEADS = ["query", "type", "who", "age", "samples", "bytes"];

function queryRow(one, last) {
  return [el("code", {}, one.query), one.type, one.user || one.client, `${one.age} s`, one.samples,
    one.memoryBytes, last];
}

async function queries(acting) {
  const { data } = await ask("status/queries");
  return [
    el("h3", {}, "Running"),
    table([...QUERY_HEADS, ""], data.running.map((one) => queryRow(one, one.killed ? "killed"
      : button("Kill", acting(() => post("admin/queries/kill", { id: one.id }))))),
    "no query runs"),
    el("h3", {}, "Slow, the last ones"),
    table([...QUERY_HEADS, "outcome"], data.slow.map((one) => queryRow(one, one.outcome)),
      "none was slow"),
  ];
}

async function alerts() {
  const { data } = await ask("rules");
  return table(["rule", "group", "state", "health", "time", "error"],
    data.groups.flatMap((group) => group.rules.map((rule) => [
      rule.name, group.name, rule.state ?? rule.type, rule.health ?? "",
      `${((rule.evaluationTime ?? 0) * 1000).toFixed(1)} ms`, rule.lastError ?? ""])),
    "no alerts");
}

function loaded(data, acting) {
  const reload = button("Reload", acting(() => post("../../-/reload", {})));
  if (data.failure === undefined) {
    return el("p", { class: "loaded" }, `Loaded ${formatTime(data.loaded_ms / 1000)}, ` +
      `version ${data.version}. `, reload);
  }
  return message("error", `The reload of ${formatTime(data.failed_ms / 1000)} failed, so what was ` +
    `loaded ${formatTime(data.loaded_ms / 1000)} is in force: ${data.failure} `, reload);
}

async function scripts(acting) {
  const { data } = await ask("status/scripts");
  const each = (rule) => (rule.calls === 0 ? ""
    : `${((rule.seconds / rule.calls) * 1e6).toFixed(1)} µs`);
  return [
    loaded(data, acting),
    table(["rule", "hook", "where", "calls", "seconds", "each", "errors", "last error"],
      data.rules.map((rule) => [rule.title, rule.hook + (rule.suspended ? ", suspended" : ""),
        `${rule.script.split("/").pop()}:${rule.line}`, rule.calls,
        el("span", { class: "figure" }, rule.seconds.toFixed(3)),
        el("span", { class: "figure" }, each(rule)), rule.errors, rule.last_error]),
      "no rules: no scripts are configured, or they have none"),
  ];
}

async function quarantine() {
  const { data } = await ask("admin/tsdb/quarantined", { limit: 200 });
  return [
    table(["file", "bytes", "changed", "metric", "reason"], data.files.map((one) => [one.name,
      one.missing ? "missing" : one.bytes, moment(one.changed_ms),
      one.metric ? el("code", {}, one.metric) : "", one.reason ?? ""]), "nothing is in quarantine"),
    data.total > data.files.length ? el("p", { class: "took" },
      `${data.files.length} of ${formatCount(data.total)}`) : "",
  ];
}

async function trash(acting) {
  const { data } = await ask("admin/tsdb/trash");
  return table(["deleted", "what", "by", "series", "samples", "bytes", "expires", ""],
    data.map((one) => [moment(one.time_ms), one.action, one.by, one.series, one.samples, one.bytes,
      one.expires_ms === null ? "never" : moment(one.expires_ms),
      button("Undelete", acting(() => post("admin/tsdb/undelete", { id: one.id })))]),
    "the trash is empty");
}

export function createOperate() {
  let timer = null, gone = false;
  const told = el("div", { "aria-live": "polite" });
  const parts = [["Status", status], ["Retention", held, createPlan()], ["Queries", queries],
    ["Alerts", alerts], ["Scripts", scripts], ["Quarantine", quarantine], ["Trash", trash]]
    .map(([title, make, ...more]) => {
      const node = el("div");
      return { make, node, section: section(title, node, ...more) };
    });

  const acting = (action) => async () => {
    try {
      await action();
      told.replaceChildren();
    } catch (error) {
      told.replaceChildren(message("error", error.message));
    }
    refresh();
  };

  async function refresh() {
    clearTimeout(timer);
    await Promise.all(parts.map(async (part) => {
      const shown = await part.make(acting).catch((error) => message("error", error.message));
      if (!gone) swap(part.node, shown);
    }));
    clearTimeout(timer);
    if (!gone) timer = setTimeout(refresh, EVERY_MS);
  }

  return {
    node: el("div", { class: "operate" }, told, ...parts.map((part) => part.section)),
    start: refresh,
    destroy() {
      gone = true;
      clearTimeout(timer);
    },
  };
}
