// Two rankings of one query side by side, with what moved between them.
import { changes, kind } from "./changes.js";
import { drawn, element, unseen } from "./dom.js";
import { hitLink } from "./hits.js";
import { label } from "./labels.js";
import { minus } from "./numbers.js";
import { formatWay } from "./state.js";

const SHOWN = 10;

/** How a way to search is called. */
function wayName({ mode, rerank }) {
  if (rerank === null || rerank === "none") return label(mode);
  return `${label(mode)} + ${label(rerank)}`;
}

/** The compare view. `choose(side, way)` is called with 0 or 1 when a side's ranking is changed. */
export class Compare {
  constructor(place, choose) {
    this.place = place;
    this.choose = choose;
    this.pairs = [];
    new ResizeObserver(() => this.connect()).observe(place);
    for (const event of ["pointerover", "focusin"]) {
      place.addEventListener(event, ({ target }) => this.point(target));
    }
    for (const event of ["pointerleave", "focusout"]) {
      place.addEventListener(event, () => this.point(null));
    }
  }

  /** Return the columns and, between them, the lines, which `connect` draws once they are seen. */
  draw(answers, ways, offered, link, times) {
    const lists = answers.map((answer) => answer.hits.map((hit) => hit.id));
    this.pairs = changes(...lists, SHOWN);
    const among = lists[0].length;
    const moved = new Map(this.pairs.map((pair) => [pair.id, badge(pair, among)]));
    const columns = answers.map((answer, side) =>
      element(
        "section",
        { class: "column", "aria-label": label(side ? "right" : "left") },
        this.select(side, ways[side], offered),
        times[side],
        element("ol", {}, answer.hits.slice(0, SHOWN).map((hit) => row(hit, side, moved, link))),
      ),
    );
    this.lines = drawn("svg", { class: "lines", "aria-hidden": "true" });
    columns.splice(1, 0, this.lines);
    return columns;
  }

  /** How many of the hits shown are on both sides. */
  shared() {
    return this.pairs.filter(({ left, right }) => inside(left) && inside(right)).length;
  }

  select(side, way, offered) {
    const now = formatWay(way);
    const known = offered.some((each) => formatWay(each) === now);
    const choices = known ? offered : [way, ...offered];
    return element(
      "select",
      {
        "data-key": `side ${side}`,
        "aria-label": label(side ? "right" : "left"),
        onchange: (event) => this.choose(side, choices[event.target.selectedIndex]),
      },
      choices.map((each) =>
        element("option", { selected: formatWay(each) === now }, wayName(each)),
      ),
    );
  }

  /** Draw the lines from each hit on the left to itself on the right. */
  connect() {
    if (!this.lines?.isConnected) return;
    const box = this.lines.getBoundingClientRect();
    const middles = ["left", "right"].map((side) => this.middles(side, box.top));
    this.lines.replaceChildren(
      ...this.pairs.map((pair) => line(pair, middles, box)).filter((each) => each !== null),
    );
  }

  middles(side, top) {
    return [...this.place.querySelectorAll(`li[data-side=${side}]`)].map((each) => {
      const { top: from, height } = each.getBoundingClientRect();
      return from - top + height / 2;
    });
  }

  /** Make one document stand out, on both sides and between. */
  point(target) {
    const id = target?.closest("li[data-id]")?.dataset.id ?? null;
    this.place.classList.toggle("pointed", id !== null);
    for (const each of this.place.querySelectorAll("[data-id]")) {
      each.classList.toggle("pointed", each.dataset.id === id);
    }
  }
}

const inside = (rank) => rank !== null && rank <= SHOWN;

function row(hit, side, moved, link) {
  return element(
    "li",
    { "data-id": hit.id, "data-side": side ? "right" : "left" },
    element("span", { class: "rank", "aria-hidden": "true" }, hit.rank),
    element("div", { class: "name" }, hitLink(hit, link)),
    side ? moved.get(hit.id) : null,
  );
}

/** What moved, in signs and in words. */
function badge(pair, among) {
  const what = kind(pair);
  const by = Math.abs((pair.left ?? 0) - (pair.right ?? 0));
  const sign = { up: `+${by}`, down: minus(`-${by}`), same: "=", onlyHere: label("onlyHere") };
  const words = {
    up: () => label("up", by, pair.left),
    down: () => label("down", by, pair.left),
    same: () => label("same"),
    onlyHere: () => label("notThere", among),
  };
  const told = words[what]();
  return element(
    "span",
    { class: `moved ${what}`, title: told },
    element("span", { "aria-hidden": "true" }, sign[what]),
    unseen(told),
  );
}

/** A curve between both places; towards the lower edge where one of them is not shown. */
function line(pair, [left, right], { width, height }) {
  if (pair.left === null || pair.right === null) return null;
  const from = inside(pair.left) ? left[pair.left - 1] : height;
  const to = inside(pair.right) ? right[pair.right - 1] : height;
  const outside = !inside(pair.left) || !inside(pair.right);
  const middle = width / 2;
  return drawn("path", {
    class: `${kind(pair)}${outside ? " outside" : ""}`,
    "data-id": pair.id,
    d: `M0 ${from}C${middle} ${from} ${middle} ${to} ${width} ${to}`,
  });
}
