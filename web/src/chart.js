// The chart and its legend. The uPlot object is the property `plot` of the chart's element.
import uPlot from "uplot";
import { el } from "./dom.js";
import { formatValue } from "./format.js";
import { align, seriesName, stack } from "./series.js";
import { formatTime } from "./time.js";

const DRAWN_MOST = 400;

// Golden-angle hues: neighbours differ, and any number of them.
function colour(index) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const light = [46, 58, 38][index % 3] + (dark ? 16 : 0);
  return `hsl(${(211 + index * 137.508) % 360} 65% ${light}%)`;
}

function cssColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// What a logarithm does not know is a gap.
function positive(columns) {
  return columns.map((column) => column.map((value) => (value > 0 ? value : null)));
}

// Times of 24 hours, with the date where a day begins.
const TIMES = [
  [86400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
];

function axis(extra = {}) {
  return {
    stroke: cssColour("--faint"),
    grid: { stroke: cssColour("--grid"), width: 1 },
    ticks: { stroke: cssColour("--grid"), width: 1 },
    font: "12px system-ui, sans-serif",
    ...extra,
  };
}

function options(list, from, to, { stacked, log, onZoom, onWiden }) {
  return {
    width: 600,
    height: 360,
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, focus: { prox: 24 }, y: false,
      bind: { dblclick: () => () => onWiden() } },
    focus: { alpha: 0.2 },
    scales: {
      x: { time: true, range: () => [from, to] },
      y: log ? { distr: 3 } : stacked ? { range: (u, low, high) =>
        uPlot.rangeNum(Math.min(0, low ?? 0), Math.max(0, high ?? 1), 0.05, true) } : {},
    },
    axes: [axis({ values: TIMES }), axis({ size: 64, values: (u, ticks) =>
      ticks.map((tick) => (tick === null ? "" : formatValue(tick))) })],
    series: [{}, ...list.map((one, i) => ({
      label: one.name,
      stroke: one.colour,
      fill: stacked ? one.colour.replace(")", " / 0.35)") : undefined,
      width: 1.5,
      points: { show: list.length * one.values.length < 60 || one.values.length < 3, size: 5 },
      spanGaps: false,
      show: true,
      index: i,
    }))],
    bands: stacked ? list.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
    hooks: {
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        const low = u.posToVal(u.select.left, "x");
        const high = u.posToVal(u.select.left + u.select.width, "x");
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        onZoom(low, high);
      }],
    },
  };
}

// Pointing at an entry lifts its line; a click shows it alone, another one all again.
function legend(list, columns, plot) {
  let alone = null;
  const values = list.map(() => el("span", { class: "legend-value" }));
  const entries = list.map((one, i) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.background = one.colour;
    return el("button", {
      type: "button",
      class: "legend-entry",
      title: one.name,
      onmouseenter: () => plot.setSeries(i + 1, { focus: true }),
      onmouseleave: () => plot.setSeries(null, { focus: true }),
      onfocus: () => plot.setSeries(i + 1, { focus: true }),
      onblur: () => plot.setSeries(null, { focus: true }),
      onclick: () => {
        alone = alone === i ? null : i;
        list.forEach((_, k) => {
          plot.setSeries(k + 1, { show: alone === null || alone === k });
          entries[k].classList.toggle("hidden", alone !== null && alone !== k);
        });
      },
    }, swatch, el("span", { class: "legend-name" }, one.name), values[i]);
  });
  const show = (row) => columns.forEach((column, i) => {
    values[i].textContent = formatValue(row === null || row === undefined
      ? column.findLast((value) => value !== null) : column[row]);
  });
  show(null);
  return { node: el("div", { class: "legend" }, ...entries), show, entries };
}

// results: range query results one after the other; from and to: the axis' ends in seconds.
export function createChart(results, from, to, settings) {
  const all = results.flat();
  const list = all.slice(0, DRAWN_MOST).map((series, i) =>
    ({ values: series.values, name: seriesName(series.metric), colour: colour(i) }));
  const { times, columns } = align(list);
  const canvas = el("div", { class: "plot", role: "img",
    "aria-label": `chart of ${list.length} series` });
  const now = el("p", { class: "cursor-time" });
  const drawn = settings.stacked ? stack(columns) : columns;
  const plot = new uPlot(options(list, from, to, settings),
    [times, ...(settings.log ? positive(drawn) : drawn)], canvas);
  const shown = legend(list, columns, plot);
  plot.hooks.setCursor = [(u) => {
    shown.show(u.cursor.idx);
    now.textContent = u.cursor.idx === null || u.cursor.idx === undefined ? ""
      : formatTime(times[u.cursor.idx]);
  }];
  plot.hooks.setSeries = [(u, index, change) => {
    if (change.focus === undefined) return;
    shown.entries.forEach((entry, i) =>
      entry.classList.toggle("lifted", index !== null && i + 1 === index));
  }];
  const resize = new ResizeObserver(() => {
    if (canvas.clientWidth > 0) {
      plot.setSize({ width: canvas.clientWidth,
        height: Math.max(220, Math.min(420, canvas.clientWidth * 0.45)) });
    }
  });
  resize.observe(canvas);
  canvas.plot = plot;
  return {
    node: el("div", { class: "chart" }, canvas, now, all.length > list.length
      ? el("p", { class: "message warning" },
        `${all.length} series; the first ${list.length} are drawn`) : null, shown.node),
    destroy() {
      resize.disconnect();
      plot.destroy();
    },
  };
}
