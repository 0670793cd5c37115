// Numbers as people read them.

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

export function formatBytes(bytes) {
  let size = bytes, unit = 0;
  while (size >= 1024 && unit < 5) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? size : size.toPrecision(3)} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
}

export function formatCount(count) {
  return count.toLocaleString("en");
}
