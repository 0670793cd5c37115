// The view for the operator: state, queries under way, alerts, rules of scripts, trash.
import { act, ask } from "./api.js";
import { button, el, message, section, table } from "./dom.js";
import { formatDuration, formatTime } from "./time.js";

const EVERY_MS = 5000;

async function status() {
  const [runtime, build] = await Promise.all([ask("status/runtimeinfo"), ask("status/buildinfo")]);
  const { startTime, serverTime, storageRetention, corruptionCount, hostname } = runtime.data;
  const up = (Date.parse(serverTime) - Date.parse(startTime)) / 1000;
  const retention = Number.parseInt(storageRetention, 10);
  return table(["", ""], [
    ["version", build.data.revision],
    ["host", hostname],
    ["up", `${formatDuration(up)}, since ${formatTime(Date.parse(startTime) / 1000)}`],
    ["retention", Number.isNaN(retention) ? storageRetention : formatDuration(retention)],
    ["corruptions found", String(corruptionCount)],
    ["configuration", runtime.data.reloadConfigSuccess ? "loaded" : "the last reload failed"],
  ]);
}

function queryRow(one, last) {
  return [el("code", {}, one.query), one.type, one.user || one.client, `${one.age} s`, one.samples,
    one.memoryBytes, last];
}

const QUERY_HEADS = ["query", "type", "who", "age", "samples", "bytes"];

async function queries(acting) {
  const { data } = await ask("status/queries");
  return [
    el("h3", {}, "Running"),
    table([...QUERY_HEADS, ""], data.running.map((one) => queryRow(one, one.killed ? "killed"
      : button("Kill", acting(() => act("admin/queries/kill", { id: one.id }))))), "none"),
    el("h3", {}, "Slow, the last ones"),
    table([...QUERY_HEADS, "outcome"], data.slow.map((one) => queryRow(one, one.outcome)), "none"),
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

async function scripts() {
  const { data } = await ask("status/scripts");
  return table(["rule", "hook", "where", "calls", "errors", "seconds", "last error"],
    data.rules.map((rule) => [rule.title, rule.hook + (rule.suspended ? ", suspended" : ""),
      `${rule.script}:${rule.line}`, rule.calls, rule.errors, rule.seconds.toFixed(3),
      rule.last_error]),
    "no rules");
}

async function trash(acting) {
  const { data } = await ask("admin/tsdb/trash");
  return table(["deleted", "by", "series", "samples", "bytes", "expires", ""],
    data.map((one) => [formatTime(one.time_ms / 1000), one.by, one.series, one.samples, one.bytes,
      one.expires_ms === null ? "never" : formatTime(one.expires_ms / 1000),
      button("Undelete", acting(() => act("admin/tsdb/undelete", { id: one.id })))]),
    "the trash is empty");
}

export function createOperate() {
  let timer = null, gone = false;
  const told = el("div", { "aria-live": "polite" });
  const parts = [["Status", status], ["Queries", queries], ["Alerts", alerts],
    ["Scripts", scripts], ["Trash", trash]]
    .map(([title, make]) => ({ make, title, node: el("div") }));

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
      if (!gone) part.node.replaceChildren(...[shown].flat());
    }));
    clearTimeout(timer);
    if (!gone) timer = setTimeout(refresh, EVERY_MS);
  }

  return {
    node: el("div", { class: "operate" }, told,
      ...parts.map((part) => section(part.title, part.node))),
    start: refresh,
    destroy() {
      gone = true;
      clearTimeout(timer);
    },
  };
}
