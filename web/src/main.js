// The page: three views, chosen by the address.
import { el } from "./dom.js";
import { createExplore } from "./explore.js";
import { createGraph } from "./graph.js";
import { createOperate } from "./operate.js";
import { readState } from "./state.js";

const VIEWS = {
  graph: ["Graph", createGraph],
  explore: ["Explore", createExplore],
  operate: ["Operate", createOperate],
};

let view = null, last_graph = "?";

function show() {
  const state = readState();
  view?.destroy();
  view = VIEWS[state.view][1](state);
  document.getElementById("view").replaceChildren(view.node);
  document.getElementById("tabs").replaceChildren(...Object.entries(VIEWS).map(([name, [title]]) =>
    el("a", { href: name === "graph" ? last_graph : `?view=${name}`,
      "aria-current": name === state.view ? "page" : null }, title)));
  document.title = `Tidemark: ${VIEWS[state.view][0].toLowerCase()}`;
  view.start();
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
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

show();
