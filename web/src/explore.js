// The view of what is stored: metrics, labels with their values, the largest cardinalities.
import { ask } from "./api.js";
import { el, message, section, table } from "./dom.js";
import { seriesName } from "./series.js";

const SHOWN_MOST = 500;

function graphLink(expression, text = expression) {
  return el("a", { href: `?${new URLSearchParams({ "g0.expr": expression })}` }, text);
}

// A metric of any name, as a selector.
function selector(name) {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : `{__name__=${JSON.stringify(name)}}`;
}

async function showInto(node, make) {
  try {
    node.replaceChildren(...[await make()].flat());
  } catch (error) {
    node.replaceChildren(message("error", error.message));
  }
}

async function metrics(filter) {
  const [names, metadata] = await Promise.all([ask("label/__name__/values"), ask("metadata")]);
  const about = (name) => metadata.data[name] ?? metadata.data[
    name.replace(/_(bucket|sum|count|total)$/, "")];
  const node = el("div");
  const show = () => {
    const wanted = filter.value.trim().toLowerCase();
    const found = names.data.filter((name) => name.toLowerCase().includes(wanted));
    node.replaceChildren(
      table(["metric", "type", "help"], found.slice(0, SHOWN_MOST).map((name) =>
        [graphLink(selector(name), name), about(name)?.[0].type ?? "", about(name)?.[0].help ?? ""]),
      "no metrics"),
      el("p", { class: "took" }, `${Math.min(found.length, SHOWN_MOST)} of ${names.data.length}`));
  };
  filter.oninput = show;
  show();
  return node;
}

async function labels(node) {
  const [{ data }, counts] = await Promise.all([ask("labels"),
    ask("status/tsdb", { limit: 1000 }).catch(() => null)]);
  const count = new Map(counts?.data.labelValueCountByLabelName.map(({ name, value }) =>
    [name, value]));
  const values = el("div");
  const open = (name) => showInto(values, async () => {
    const answer = await ask(`label/${encodeURIComponent(name)}/values`);
    return [el("h3", {}, `${answer.data.length} values of ${name}`),
      table(["value"], answer.data.slice(0, SHOWN_MOST).map((value) =>
        [graphLink(seriesName({ [name]: value }), value)]))];
  });
  node.replaceChildren(
    table(["label", "values"], data.map((name) => [
      el("button", { type: "button", class: "link", onclick: () => open(name) }, name),
      count.get(name) ?? ""]), "no labels"), values);
}

async function cardinalities() {
  const { data } = await ask("status/tsdb", { limit: 15 });
  const list = (title, head, rows) => el("div", {}, el("h3", {}, title),
    table([head, "count"], rows.map(({ name, value }) => [name, value])));
  const { numSeries, numLabelPairs, chunkCount } = data.headStats;
  return [
    el("p", {}, `${numSeries.toLocaleString("en")} series in memory, ` +
      `${chunkCount.toLocaleString("en")} chunks, ` +
      `${numLabelPairs.toLocaleString("en")} label pairs`),
    el("div", { class: "columns" },
      list("Series of metrics", "metric", data.seriesCountByMetricName),
      list("Values of labels", "label", data.labelValueCountByLabelName),
      list("Series of label pairs", "pair", data.seriesCountByLabelValuePair))];
}

export function createExplore() {
  const filter = el("input", { type: "search", placeholder: "filter metrics",
    "aria-label": "filter metrics" });
  const found = el("div"), named = el("div"), largest = el("div");
  return {
    node: el("div", { class: "explore" }, section("Metrics", filter, found),
      section("Labels", named), section("Cardinality", largest)),
    start() {
      showInto(found, () => metrics(filter));
      labels(named).catch((error) => named.replaceChildren(message("error", error.message)));
      showInto(largest, cardinalities);
    },
    destroy() {},
  };
}
