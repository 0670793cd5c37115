// Results of range queries: names of series, and columns on one time axis.

// As PromQL writes it: name{label="value"}.
export function seriesName(metric) {
  const labels = Object.keys(metric).filter((name) => name !== "__name__").sort()
    .map((name) => `${name}=${JSON.stringify(metric[name])}`);
  const name = metric.__name__ ?? "";
  return labels.length > 0 || name === "" ? `${name}{${labels.join(", ")}}` : name;
}

// {times, columns}: the times that any of the series has, and each one's value or null there.
export function align(list) {
  const all = new Set();
  for (const { values } of list) for (const [time] of values) all.add(time);
  const times = [...all].sort((a, b) => a - b);
  const row = new Map(times.map((time, i) => [time, i]));
  const columns = list.map(({ values }) => {
    const column = new Array(times.length).fill(null);
    for (const [time, text] of values) {
      const value = Number(text.replace("Inf", "Infinity"));
      column[row.get(time)] = Number.isFinite(value) ? value : null;
    }
    return column;
  });
  return { times, columns };
}

// Each column on top of those before it.
export function stack(columns) {
  const sums = [];
  return columns.map((column) => column.map((value, i) => {
    if (value === null) return null;
    sums[i] = (sums[i] ?? 0) + value;
    return sums[i];
  }));
}

// Short, for axes and legends.
export function formatValue(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e15)) return value.toExponential(3);
  for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= (unit === 1e3 ? 1e4 : unit)) return `${Number((value / unit).toPrecision(4))}${letter}`;
  }
  return String(Number(value.toPrecision(5)));
}
