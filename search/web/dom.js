// Elements from names, attributes and text. Text becomes text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: attributes that are null or false are left out, `onclick` and such listen. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** Make an SVG element likewise. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Text that only screen readers read. */
export const unseen = (text) => element("span", { class: "unseen" }, text);

/**
 * Replace what a place holds and keep the focus on the element with the same data-key; where that
 * is gone, `orElse` gets it.
 */
export function replaceKeepingFocus(place, children, orElse) {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  place.replaceChildren(...children);
  if (!focused) return;
  const key = focused.dataset.key;
  const again = [...place.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
  (again ?? orElse).focus();
}
