// What the page says besides hits: what screen readers hear, the start page, that nothing was found.
import { byId, element } from "./dom.js";
import { label } from "./labels.js";

const QUIET = 700; // ms without another answer, so that typing is not read out letter by letter
let announcing = 0;

/** Have a screen reader say something once the person has stopped typing. */
export function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    byId("announcer").textContent = text;
  }, QUIET);
}

/** The start page: what there is to search, and the keys. */
export function welcome(index) {
  if (index.documents === 0) return [emptyIndex()];
  const encoder = index.encoder?.name;
  return [
    element("p", { class: "about" }, label("size", index.documents, index.passages)),
    encoder ? element("p", { class: "quiet" }, encoder) : null,
    element(
      "dl",
      { class: "keys" },
      [["/", "keySearch"], ["↑ ↓", "keyMove"], ["Enter", "keyOpen"], ["Esc", "keyEscape"]].map(
        ([key, what]) =>
          element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, label(what))),
      ),
    ),
  ].filter(Boolean);
}

/** Say that there are no hits, and whether there could be any. */
export function nothing(index) {
  return [index.documents === 0 ? emptyIndex() : both("noHits", "noHitsHint")];
}

const emptyIndex = () => both("emptyIndex", "emptyIndexHint");

function both(what, hint) {
  return element(
    "div",
    { class: "nothing" },
    element("p", {}, label(what)),
    element("p", { class: "quiet" }, label(hint)),
  );
}
