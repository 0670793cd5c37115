// Durations of PromQL ("1h30m") and times as people write them.

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };

// Seconds, or NaN.
export function parseDuration(text) {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  if (!/^(\d+(ms|[smhdwy]))+$/.test(trimmed)) return NaN;
  let seconds = 0;
  for (const [, number, unit] of trimmed.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    seconds += Number(number) * UNITS[unit];
  }
  return seconds;
}

export function formatDuration(seconds) {
  let rest = Math.round(seconds), text = "";
  for (const unit of ["d", "h", "m", "s"]) {
    const count = Math.floor(rest / UNITS[unit]);
    if (count > 0) text += count + unit;
    rest -= count * UNITS[unit];
  }
  return text || "0s";
}

export function isSeconds(text) {
  return /^\d+(\.\d+)?$/.test(text);
}

// A date as seconds, which mean the same in each time zone; other texts as they are. `zone` is
// "Z" for dates in UTC, "" for local ones.
export function absolute(text, zone = "") {
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return text;
  const bare = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?$/.test(text);
  const seconds = Date.parse(text.replace(" ", "T") + (bare ? zone : "")) / 1000;
  return Number.isNaN(seconds) ? text : String(seconds);
}

// Seconds since 1970 of "now", "now-2h", a number, or a date; null for "" (follow the clock).
export function parseTime(text, now) {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed === "now") return null;
  const relative = trimmed.match(/^now\s*-\s*(\S+)$/);
  if (relative) return now - parseDuration(relative[1]);
  if (isSeconds(trimmed)) return Number(trimmed);
  return Date.parse(trimmed.replace(" ", "T")) / 1000;
}

// Local, as an input of type datetime-local and parseTime read it.
export function formatTime(seconds) {
  const date = new Date(seconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

// A step that gives about 250 points, at least a second.
export function autoStep(range) {
  return Math.max(1, Math.ceil(range / 250));
}
