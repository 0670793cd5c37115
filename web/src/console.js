// The console: lines of Lua in the running server. Enter runs, Shift-Enter makes a line, Tab
// completes, the arrows find older lines, Ctrl-C ends what runs. The session lives as long as the
// page, whichever view is shown.
import { stream } from "./api.js";
import { button, el } from "./dom.js";

const PATH = "admin/console";
const KEPT_NODES = 2000, KEPT_TEXT = 200000, KEPT_LINES = 200;

let session = "", running = null;
const lines = []; // what was run, the oldest first
const output = el("div", { class: "console-output", role: "log", "aria-label": "output", tabindex: "0" });

// --- what is shown

let pending = []; // not shown yet: a line may print faster than a page can be drawn

function flush() {
  if (pending.length === 0) return;
  output.append(...pending.map(([kind, text]) => el("pre", { class: kind }, text)));
  pending = [];
  while (output.childNodes.length > KEPT_NODES) output.firstChild.remove();
  output.scrollTop = output.scrollHeight;
}

function put(kind, text) {
  if (text === "") return;
  const shown = text.length > KEPT_TEXT ? `… ${text.slice(-KEPT_TEXT)}` : text;
  if (pending.push([kind, shown.replace(/\n$/, "")]) === 1) setTimeout(flush, 50);
  if (pending.length > KEPT_NODES) pending.shift();
}

// --- the session

// The events of a stream: calls take(name, data) for each, as they come.
async function events(response, take) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const all = (rest + value).split("\n\n");
    rest = all.pop();
    for (const one of all) {
      const name = one.match(/^event: ?(.*)$/m)?.[1] ?? "message";
      const data = [...one.matchAll(/^data: ?(.*)$/gm)].map(([, text]) => text).join("\n");
      take(name, data === "" ? null : JSON.parse(data));
    }
  }
}

// Runs a line in the session, or in a new one when that is gone. What its last event was.
async function run(text, signal) {
  let last = "", response;
  try {
    response = await stream(PATH, { session }, text, signal);
  } catch (error) {
    if (error.status !== 404 || session === "") throw error;
    session = "";
    put("note", "The session had ended: this is a new one.");
    response = await stream(PATH, {}, text, signal);
  }
  await events(response, (name, data) => {
    last = name;
    if (name === "session") session = data.id;
    else if (name === "output") put("printed", data);
    else if (name === "done") put("answer", data.text);
    else if (name !== "incomplete") put("failure", data?.text ?? name);
  });
  return last;
}

addEventListener("pagehide", () => {
  if (session !== "") stream(PATH, { session }, "", undefined, { method: "DELETE", keepalive: true })
    .catch(() => {});
  session = "";
});

// --- completion

const bytes = (text) => new TextEncoder().encode(text).length;
const atByte = (text, count) => new TextDecoder().decode(new TextEncoder().encode(text)
  .slice(0, count)).length;

function commonStart(items) {
  let start = items[0];
  for (const item of items) while (!item.startsWith(start)) start = start.slice(0, -1);
  return start;
}

async function complete(input) {
  const text = input.value, cursor = input.selectionStart;
  const response = await stream(`${PATH}/complete`, { session, cursor: bytes(text.slice(0, cursor)) },
    text);
  const { from, items } = (await response.json()).data;
  if (items.length === 0 || input.value !== text) return;
  const start = atByte(text, from), more = commonStart(items);
  if (more.length > cursor - start) input.setRangeText(more, start, cursor, "end");
  else put("note", items.join("  "));
}

// --- the view

export function createConsole() {
  let shown = lines.length; // of the older ones
  const input = el("textarea", { class: "console-input", rows: "1", spellcheck: "false",
    autocapitalize: "off", "aria-label": "a line of Lua",
    placeholder: 'Lua, such as tide.query "up" or help()' });
  const stop = button("Stop", () => running?.abort(), { title: "Ctrl-C" });
  const go = el("button", { class: "primary", title: "Enter" }, "Run");

  const grow = () => {
    input.rows = Math.min(12, input.value.split("\n").length);
  };
  const idle = () => {
    stop.disabled = running === null;
    go.disabled = running !== null;
  };

  async function send() {
    const text = input.value;
    if (running !== null || text.trim() === "") return;
    running = new AbortController();
    idle();
    put("line", `> ${text.replaceAll("\n", "\n  ")}`);
    try {
      const last = await run(text, running.signal);
      flush();
      if (last === "incomplete") {
        output.lastChild.remove(); // it comes again with what is missing
        input.value = `${text}\n`;
      } else {
        if (lines.at(-1) !== text) lines.push(text);
        if (lines.length > KEPT_LINES) lines.shift();
        input.value = "";
      }
    } catch (error) {
      put(error.name === "AbortError" ? "note" : "failure",
        error.name === "AbortError" ? "stopped" : error.message);
    }
    flush();
    running = null;
    shown = lines.length;
    grow();
    idle();
    input.focus();
  }

  function older(direction) {
    shown = Math.max(0, Math.min(lines.length, shown + direction));
    input.value = lines[shown] ?? "";
    grow();
  }

  function onKey(event) {
    const alone = !input.value.includes("\n");
    if (event.key === "Enter" && !event.shiftKey) send();
    else if (event.key === "c" && event.ctrlKey && input.selectionStart === input.selectionEnd) {
      running?.abort();
    } else if (event.key === "ArrowUp" && alone) older(-1);
    else if (event.key === "ArrowDown" && alone) older(1);
    else if (event.key === "Tab" && !event.shiftKey && input.value.trim() !== "") {
      complete(input).catch((error) => put("failure", error.message));
    } else return;
    event.preventDefault();
  }

  input.addEventListener("keydown", onKey);
  input.addEventListener("input", grow);
  idle();
  return {
    node: el("div", { class: "console" }, output, el("form", { class: "controls",
      onsubmit: (event) => {
        event.preventDefault();
        send();
      } }, input, go, stop, button("Clear", () => output.replaceChildren()))),
    start() {
      input.focus();
      output.scrollTop = output.scrollHeight;
    },
    destroy() {},
  };
}
