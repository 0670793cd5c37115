// What is shown while the server opens its store: what it is at, and how far.
import { readiness } from "./api.js";
import { el, section } from "./dom.js";
import { formatBytes, formatCount } from "./format.js";

const EVERY_MS = 500;

const PHASES = {
  starting: "begins",
  lock: "looks at its folder",
  heads: "reads the newest samples of each series",
  recovery: "looks at every series file, as the last stop was not a clean one",
  replay: "replays the log of what came last",
  index: "reads the labels",
  ready: "is about to serve",
  stopping: "stops",
};

function describe({ phase, done, total }) {
  const count = phase === "replay" ? formatBytes : formatCount;
  const what = phase === "recovery" ? " folders" : "";
  return total > 0 ? `${count(done)} of ${count(total)}${what}` : "";
}

// Calls `ready` when the server is; `state` is what readiness() said.
export function createRecovery(state, ready) {
  let timer = null, gone = false;
  const what = el("p"), count = el("p", { class: "took" });
  const bar = el("progress", { "aria-label": "progress of the start" });

  function show(now) {
    what.textContent = now.phase === "" ? `${now.error}; trying again …`
      : `It ${PHASES[now.phase] ?? now.phase}.`;
    count.textContent = describe(now);
    if (now.total > 0) {
      bar.max = now.total;
      bar.value = Math.min(now.done, now.total);
    } else {
      bar.removeAttribute("value");
    }
  }

  async function look() {
    const now = await readiness();
    if (gone) return;
    if (now === null) return ready();
    show(now);
    timer = setTimeout(look, EVERY_MS);
  }

  show(state);
  return {
    node: el("div", { class: "recovery", role: "status" },
      section(state.phase === "" ? "The server is away" : "The server is starting", what, bar, count)),
    start() {
      timer = setTimeout(look, EVERY_MS);
    },
    destroy() {
      gone = true;
      clearTimeout(timer);
    },
  };
}
