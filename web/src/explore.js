// The view of what is stored: series and their chunks, metrics, labels with their values, the largest
// cardinalities.
import { ask } from "./api.js";
import { el, facts, message, section, swapIn, table } from "./dom.js";
import { createSeries } from "./explore_series.js";
import { formatCount } from "./format.js";
import { selectorOf } from "./series.js";
import { graphLink, seriesLink } from "./state.js";

const SHOWN_MOST = 500;

function link(expression, text) {
  return el("a", { href: graphLink(expression), title: "graph" }, text);
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
      table(["metric", "type", "help", ""], found.slice(0, SHOWN_MOST).map((name) =>
        [link(selectorOf({ __name__: name }), name), about(name)?.[0].type ?? "",
          about(name)?.[0].help ?? "",
          el("a", { href: seriesLink(selectorOf({ __name__: name })) }, "series")]),
      names.data.length > 0 ? "no metric of that name" : "nothing is stored yet"),
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
  const open = (name) => swapIn(values, async () => {
    const answer = await ask(`label/${encodeURIComponent(name)}/values`);
    return [el("h3", {}, `${answer.data.length} values of ${name}`),
      table(["value"], answer.data.slice(0, SHOWN_MOST).map((value) =>
        [link(selectorOf({ [name]: value }), value)]))];
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
    facts([["series in memory", formatCount(numSeries)], ["chunks", formatCount(chunkCount)],
      ["label pairs", formatCount(numLabelPairs)]]),
    el("div", { class: "columns" },
      list("Series of metrics", "metric", data.seriesCountByMetricName),
      list("Values of labels", "label", data.labelValueCountByLabelName),
      list("Series of label pairs", "pair", data.seriesCountByLabelValuePair))];
}

export function createExplore(state) {
  const filter = el("input", { type: "search", placeholder: "filter metrics",
    "aria-label": "filter metrics" });
  const found = el("div"), named = el("div"), largest = el("div");
  const series = createSeries(state);
  return {
    node: el("div", { class: "explore" }, series.node, section("Metrics", filter, found),
      section("Labels", named), section("Cardinality", largest)),
    start() {
      series.start();
      swapIn(found, () => metrics(filter));
      labels(named).catch((error) => named.replaceChildren(message("error", error.message)));
      swapIn(largest, cardinalities);
    },
    destroy() {},
  };
}
