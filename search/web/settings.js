// The switches above the results: ranking, reranking, and the compare view.
import { element, replaceKeepingFocus } from "./dom.js";
import { label } from "./labels.js";
import { narrow } from "./layout.js";
import { wayOf, waysOf } from "./question.js";
import { formatWay } from "./state.js";

/** Draw the switches that the index has a choice for; `go(change)` is called with the new state. */
export function drawSettings(place, state, index, go, orElse) {
  const way = wayOf(state, index);
  const comparing = state.compare !== null;
  const mode = !comparing && choice("mode", index.modes, way.mode, (mode) => go({ mode }));
  const rerank =
    !comparing && choice("rerank", index.rerankers, way.rerank, (rerank) => go({ rerank }));
  const compare =
    waysOf(index).length > 1 &&
    compareSwitch(comparing, () => go({ compare: comparing ? null : twoWays(way, index) }));
  // The switch stands at the end of the first line, and in one column that is the rankings' alone.
  const drawn = narrow.matches ? [mode, compare, rerank] : [mode, rerank, compare];
  replaceKeepingFocus(place, drawn.filter(Boolean), orElse);
}

/** The way in use on the right, and on the left what it is most worth comparing with. */
function twoWays(way, index) {
  const others = waysOf(index).filter((each) => formatWay(each) !== formatWay(way));
  const unranked = others.find(({ mode, rerank }) => mode === way.mode && rerank === "none");
  const lexical = others.find(({ mode }) => mode === "lexical");
  return [(way.rerank === "none" ? null : unranked) ?? lexical ?? others[0], way];
}

function choice(name, values, chosen, choose) {
  if (values.length < 2) return null;
  return element(
    "fieldset",
    { class: `choice ${name}` },
    element("legend", {}, label(name)),
    element("div", {}, values.map((value) => option(name, value, value === chosen, choose))),
  );
}

function option(name, value, checked, choose) {
  const key = `${name} ${value}`;
  const onchange = () => choose(value);
  return element(
    "label",
    {},
    element("input", { type: "radio", name, value, checked, "data-key": key, onchange }),
    element("span", {}, label(value)),
  );
}

function compareSwitch(on, flip) {
  return element(
    "button",
    { type: "button", class: "switch", "aria-pressed": String(on), "data-key": "compare", onclick: flip },
    label("compare"),
  );
}
