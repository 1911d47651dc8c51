// Where the page is narrow some things stand elsewhere; the keyboard then goes as the eye does.
import { byId } from "./dom.js";

/** Whether the page is one column, as the styles have it. */
export const narrow = matchMedia("(max-width: 860px)");

/** In one column the preferences stand above the box, else behind it. */
export function placePreferences() {
  const preferences = document.querySelector(".preferences");
  if (narrow.matches) byId("form").before(preferences);
  else byId("form").after(preferences);
}
