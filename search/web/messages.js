// What the page says besides hits: troubles, the start page, and that nothing was found.
import { byId, element } from "./dom.js";
import { keepKey, keptKey } from "./client.js";
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

/** Tell of an error above the results; a passing one with a button that tries at once. */
export function drawTrouble(error, tryNow) {
  const sentence = error.message || label("unreachable");
  const again = error.passing && error.message ? ` ${label("tryingAgain")}` : "";
  byId("trouble").replaceChildren(
    element(
      "div",
      { class: "trouble" },
      element("p", {}, sentence + again),
      error.passing
        ? element("button", { type: "button", onclick: tryNow }, label("tryNow"))
        : null,
    ),
  );
}

export function clearTrouble() {
  byId("trouble").replaceChildren();
}

/** Ask for a key; `use` is called once there is one. */
export function drawKeyForm(use) {
  if (document.querySelector("form.key")) return;
  const field = element("input", {
    type: "password",
    id: "key",
    autocomplete: "off",
    required: true,
    pattern: "[!-~]+", // what a header can carry
  });
  const submit = (event) => {
    event.preventDefault();
    keepKey(field.value.trim());
    clearTrouble();
    use();
  };
  byId("trouble").replaceChildren(
    element(
      "form",
      { class: "key trouble", onsubmit: submit },
      element("p", {}, `${label(keptKey() ? "keyWrong" : "keyWanted")} ${label("keyKept")}`),
      element("label", { for: "key" }, label("keyLabel")),
      field,
      element("button", {}, label("keySend")),
    ),
  );
  field.focus();
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
