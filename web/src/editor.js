// The editor of one PromQL expression; completes from this server.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap }
  from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewline } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { pathPrefix } from "./api.js";

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "var(--code-keyword)" },
  { tag: [tags.function(tags.variableName), tags.standard(tags.variableName)],
    color: "var(--code-function)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.unit], color: "var(--code-number)" },
  { tag: tags.labelName, color: "var(--code-label)" },
  { tag: tags.comment, color: "var(--faint)" },
]);

// `run` is called by Enter and Ctrl-Enter; Shift-Enter makes a new line.
export function createEditor(text, { run, label }) {
  const language = new PromQLExtension();
  language.setComplete({ remote: { url: pathPrefix } });
  const keys = Prec.highest(keymap.of([
    { key: "Mod-Enter", run: () => (run(), true) },
    { key: "Shift-Enter", run: insertNewline },
  ]));
  const enter = keymap.of([{ key: "Enter", run: () => (run(), true) }]);
  return new EditorView({
    state: EditorState.create({
      doc: text,
      extensions: [
        keys,
        keymap.of(completionKeymap), // Enter takes a completion first
        autocompletion(),
        enter,
        closeBrackets(),
        bracketMatching(),
        history(),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        language.asExtension(),
        syntaxHighlighting(colours),
        placeholder("PromQL, such as rate(http_requests_total[5m])"),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label }),
      ],
    }),
  });
}
