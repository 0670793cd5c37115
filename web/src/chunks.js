// The chunks of a series on a time line: their height is bytes per sample, their colour the encoding;
// below, where they are: in the file, in memory.
import { el, facts, moment, svg, table } from "./dom.js";
import { formatBytes, formatCount } from "./format.js";
import { selectorOf, seriesName } from "./series.js";
import { graphLink } from "./state.js";
import { formatDuration, formatTime } from "./time.js";

const WIDTH = 1000, LEFT = 70, RIGHT = 10, TOP = 8, HEIGHT = 110, LANE = 16, GAP = 6;
const LANES = [["disk", (place) => place === "file" || place === "file and memory"],
  ["memory", (place) => place !== "file"]];
const TICKS = 5;
const ROWS_MOST = 1000;

const perSample = (chunk) => (chunk.samples > 0 ? chunk.bytes / chunk.samples : 0);

function describe(chunk) {
  return `${formatTime(chunk.first_ms / 1000)} to ${formatTime(chunk.last_ms / 1000)}\n` +
    `${chunk.encoding}, ${formatCount(chunk.samples)} samples in ${formatCount(chunk.bytes)} bytes, ` +
    `${perSample(chunk).toFixed(2)} per sample\n${chunk.place}` +
    (chunk.problem ? `\n${chunk.problem}` : "");
}

function scales(chunks) {
  const from = Math.min(...chunks.map((chunk) => chunk.first_ms));
  const to = Math.max(...chunks.map((chunk) => chunk.last_ms));
  const most = Math.max(1, ...chunks.map(perSample));
  const x = (ms) => LEFT + ((WIDTH - LEFT - RIGHT) * (ms - from)) / Math.max(1, to - from);
  return { from, to, most, x, y: (bytes) => TOP + HEIGHT * (1 - bytes / most) };
}

function text(x, y, anchor, words) {
  return svg("text", { x, y, "text-anchor": anchor }, words);
}

function axes({ from, to, most, x, y }) {
  const bottom = TOP + HEIGHT + LANES.length * (LANE + GAP);
  const times = Array.from({ length: TICKS }, (_, i) => from + ((to - from) * i) / (TICKS - 1));
  return [
    ...[0, most / 2, most].map((bytes) => svg("g", {},
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(bytes), y2: y(bytes) }),
      text(LEFT - 8, y(bytes) + 4, "end", Number(bytes.toPrecision(2))))),
    ...LANES.map(([name], i) => text(LEFT - 8, TOP + HEIGHT + GAP + i * (LANE + GAP) + LANE - 3, "end",
      name)),
    ...times.map((ms, i) => text(x(ms), bottom + 18,
      i === 0 ? "start" : i === TICKS - 1 ? "end" : "middle", formatTime(ms / 1000).slice(0, 16))),
  ];
}

function place(chunk, { x, y }) {
  const left = x(chunk.first_ms), width = Math.max(1.5, x(chunk.last_ms) - left - 0.7);
  const kind = chunk.problem ? "damaged" : chunk.encoding;
  return [
    svg("rect", { class: `chunk ${kind}`, x: left, width, y: y(perSample(chunk)),
      height: Math.max(1, TOP + HEIGHT - y(perSample(chunk))), "data-place": chunk.place,
      "data-encoding": chunk.encoding, "data-samples": chunk.samples, "data-bytes": chunk.bytes },
    svg("title", {}, describe(chunk))),
    ...LANES.map(([, holds], i) => (holds(chunk.place) ? svg("rect", {
      class: chunk.place === "head" ? "lane head" : "lane", x: left, width,
      y: TOP + HEIGHT + GAP + i * (LANE + GAP), height: LANE }, svg("title", {}, describe(chunk)))
      : null)),
  ];
}

function timeline(chunks) {
  const scale = scales(chunks);
  return el("div", { class: "timeline" }, svg("svg", { role: "img",
    viewBox: `0 0 ${WIDTH} ${TOP + HEIGHT + LANES.length * (LANE + GAP) + 26}`,
    "aria-label": `${chunks.length} chunks on a time line` },
  ...axes(scale), ...chunks.flatMap((chunk) => place(chunk, scale))));
}

function key(chunks) {
  const kinds = [...new Set(chunks.map((chunk) => (chunk.problem ? "damaged" : chunk.encoding)))];
  return el("p", { class: "key" }, "bytes per sample, by encoding: ", ...kinds.map((kind) =>
    el("span", {}, el("span", { class: `swatch ${kind}` }), kind)));
}

function rows(chunks) {
  return el("details", {}, el("summary", {}, "All chunks as a table"),
    table(["from", "to", "encoding", "samples", "bytes", "per sample", "place", "offset", "problem"],
      chunks.slice(0, ROWS_MOST).map((chunk) => [moment(chunk.first_ms),
        moment(chunk.last_ms), chunk.encoding, chunk.samples, chunk.bytes,
        Number(perSample(chunk).toFixed(2)), chunk.place, chunk.offset ?? "", chunk.problem ?? ""])));
}

function graphOf(series) {
  const { first_ms } = series.chunks[0], { last_ms } = series.chunks.at(-1);
  const seconds = Math.max(60, Math.ceil((last_ms - first_ms) / 1000));
  return el("a", { href: graphLink(selectorOf(series.labels), {
    "g0.range_input": formatDuration(seconds), "g0.end_input": Math.ceil(last_ms / 1000) }) },
  "graph all of it");
}

export function chunksOf(series) {
  const { chunks, labels } = series;
  const sum = (name) => chunks.reduce((all, chunk) => all + chunk[name], 0);
  const samples = sum("samples");
  const count = (holds) => formatCount(chunks.filter((chunk) => holds(chunk.place)).length);
  return el("div", { class: "series-chunks" },
    el("h3", {}, el("code", {}, labels ? seriesName(labels) : series.fingerprint)),
    facts([["fingerprint", el("code", {}, series.fingerprint)], ["samples", formatCount(samples)],
      ["bytes per sample", samples > 0 ? (sum("bytes") / samples).toFixed(2) : "–"],
      ["chunks on disk", count(LANES[0][1])], ["in memory", count(LANES[1][1])],
      ["file", formatBytes(series.file_bytes)], ["archived", series.archived ? "yes" : "no"],
      ["late samples waiting", series.late > 0 ? formatCount(series.late) : null],
      ["", labels && chunks.length > 0 ? graphOf(series) : null]]),
    chunks.length === 0 ? el("p", { class: "empty" }, "no chunks") : el("div", {}, timeline(chunks),
      key(chunks), rows(chunks)));
}
