// The words of the page in its language.
import { CHINESE } from "./chinese.js";
import { ENGLISH } from "./english.js";
import { language, otherLanguage } from "./language.js";

const WORDS = { en: ENGLISH, zh: CHINESE };

/** Return a label; a name that has none (a stage of a later server) is shown as it is. */
export function label(name, ...values) {
  const known = WORDS[language()];
  const words = Object.hasOwn(known, name) ? known[name] : name;
  return typeof words === "function" ? words(...values) : words;
}

/** Label what the HTML has: data-label is the text, data-label-ATTRIBUTE an attribute's. */
export function labelPage() {
  document.documentElement.lang = language() === "zh" ? "zh-Hans" : "en";
  document.title = label("title");
  for (const each of document.querySelectorAll("[data-label]")) {
    each.textContent = label(each.dataset.label);
  }
  for (const attribute of ["aria-label", "placeholder", "title"]) {
    for (const each of document.querySelectorAll(`[data-label-${attribute}]`)) {
      each.setAttribute(attribute, label(each.getAttribute(`data-label-${attribute}`)));
    }
  }
  const other = document.getElementById("language");
  other.lang = otherLanguage() === "zh" ? "zh-Hans" : "en";
}
