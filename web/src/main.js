// The page: four views, chosen by the address; while the server starts, how far it is.
import { readiness } from "./api.js";
import { el } from "./dom.js";
import { createConsole } from "./console.js";
import { createExplore } from "./explore.js";
import { createGraph } from "./graph.js";
import { createOperate } from "./operate.js";
import { createRecovery } from "./recovery.js";
import { readState } from "./state.js";

const VIEWS = {
  graph: ["Graph", createGraph],
  explore: ["Explore", createExplore],
  operate: ["Operate", createOperate],
  console: ["Console", createConsole],
};

let view = null, last_graph = "?", waiting = false;

function put(next) {
  view?.destroy();
  view = next;
  document.getElementById("view").replaceChildren(view.node);
  view.start();
}

function show() {
  const state = readState();
  document.getElementById("tabs").replaceChildren(...Object.entries(VIEWS).map(([name, [title]]) =>
    el("a", { href: name === "graph" ? last_graph : `?view=${name}`,
      "aria-current": name === state.view ? "page" : null }, title)));
  document.title = `Tidemark: ${VIEWS[state.view][0].toLowerCase()}`;
  if (!waiting) put(VIEWS[state.view][1](state));
}

async function wait() {
  if (waiting) return;
  waiting = true;
  const now = await readiness();
  const go = () => {
    waiting = false;
    show();
  };
  if (now === null) go();
  else put(createRecovery(now, go));
}

// Links within the page change the view without loading it again.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="?"]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  if (readState().view === "graph") last_graph = location.search || "?";
  history.pushState(null, "", location.pathname + (link.search || ""));
  show();
});
addEventListener("popstate", show);
addEventListener("unready", wait);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (readState().view === "graph") show(); // charts have their colours of their own
});

show();
wait();
