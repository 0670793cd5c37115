// Results of range queries: names of series, and columns on one time axis.

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

// A string of PromQL.
function quote(text) {
  return JSON.stringify(text);
}

// As PromQL writes it: name{label="value"}.
export function seriesName(metric) {
  const labels = Object.keys(metric).filter((name) => name !== "__name__").sort()
    .map((name) => `${NAME.test(name) ? name : quote(name)}=${quote(metric[name])}`);
  const name = metric.__name__ ?? "";
  return labels.length > 0 || name === "" ? `${name}{${labels.join(", ")}}` : name;
}

// A selector of these labels and their values, whatever their names are.
export function selectorOf(metric) {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(metric.__name__ ?? "x") ? seriesName(metric)
    : `{${Object.keys(metric).sort().map((name) => `${NAME.test(name) ? name : quote(name)}=` +
      quote(metric[name])).join(", ")}}`;
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
