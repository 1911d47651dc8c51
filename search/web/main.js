// Starts the page and connects what the person does to it.
import { byId } from "./dom.js";
import { listenToKeys } from "./keyboard.js";
import { labelPage } from "./labels.js";
import { chooseLanguage, otherLanguage } from "./language.js";
import { narrow, placePreferences } from "./layout.js";
import { Page } from "./page.js";

labelPage();
placePreferences();
const page = new Page();
const box = byId("query");

// A half-written Chinese word is Latin letters that nobody looks for.
box.addEventListener("input", (event) => {
  if (!event.isComposing) page.type(box.value);
});
box.addEventListener("compositionend", () => page.type(box.value));
box.addEventListener("blur", () => {
  page.typing = false;
});
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  page.settle();
  if (matchMedia("(pointer: coarse)").matches) box.blur(); // folds the keyboard on a phone
});
listenToKeys(box, () => page.type(""));

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.open");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  page.go({ open: link.dataset.document });
});

byId("language").addEventListener("click", () => {
  chooseLanguage(otherLanguage());
  labelPage();
  page.redraw();
});

byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = (root.dataset.theme ?? dark) === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("cloze.theme", root.dataset.theme);
  } catch {
    // It holds until the page is loaded again.
  }
});

narrow.addEventListener("change", () => {
  placePreferences();
  page.redraw();
});
window.addEventListener("online", () => page.retryNow());

page.start();
