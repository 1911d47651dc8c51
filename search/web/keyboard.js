// The page by keyboard: / to search, arrows through the hits, Escape back.

/** Listen to keys; `clear` empties the box. Enter on a hit is its link's own. */
export function listenToKeys(box, clear) {
  document.addEventListener("keydown", (event) => {
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    if (modified || event.isComposing || document.querySelector("dialog[open]")) return;
    const act = ACTIONS[event.key];
    if (act?.(event.target, box, clear, event.key)) event.preventDefault();
  });
}

const ACTIONS = {
  "/": (target, box) => {
    if (target.matches("input:not([type=radio]), select, textarea")) return false;
    box.focus();
    box.select();
    return true;
  },
  Escape: (target, box, clear) => {
    if (target === box) clear();
    else box.focus();
    return true;
  },
  ArrowDown: (target, box) => {
    if (target === box || target === document.body) return focused(hitsOf(document)[0]);
    return focused(hitsOf(target.closest("ol"))[placeOf(target) + 1]);
  },
  ArrowUp: (target, box) => {
    const place = placeOf(target);
    return place >= 0 && focused(place ? hitsOf(target.closest("ol"))[place - 1] : box);
  },
  ArrowLeft: (target) => acrossTo(target, 0),
  ArrowRight: (target) => acrossTo(target, 1),
};

const hitsOf = (list) => (list ? [...list.querySelectorAll("a.open")] : []);
const placeOf = (link) => hitsOf(link.closest("ol")).indexOf(link);

/** In the compare view: from a hit to the one beside it. */
function acrossTo(target, side) {
  const place = placeOf(target);
  const lists = document.querySelectorAll("#comparison ol");
  if (place < 0 || lists.length < 2 || target.closest("ol") === lists[side]) return false;
  const there = hitsOf(lists[side]);
  return focused(there[Math.min(place, there.length - 1)]);
}

function focused(element) {
  element?.focus();
  element?.scrollIntoView({ block: "nearest" });
  return Boolean(element);
}
