// The language of the page: the one chosen before, else the browser's.

const KEPT = "cloze.language";
const KNOWN = ["en", "zh"];
let chosen = null;

/** The language of what the server says, whatever the page's is. */
export const SERVERS = "en";

export function language() {
  if (chosen) return chosen;
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // Without storage the browser's language holds.
  }
  chosen = KNOWN.includes(kept) ? kept : /^zh\b/i.test(navigator.language) ? "zh" : "en";
  return chosen;
}

export const otherLanguage = () => (language() === "en" ? "zh" : "en");

export function chooseLanguage(name) {
  chosen = name;
  try {
    localStorage.setItem(KEPT, name);
  } catch {
    // It holds until the page is loaded again.
  }
}

/** A count as the language writes it. */
export const count = (number) => new Intl.NumberFormat(language()).format(number);
