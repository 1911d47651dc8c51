// Metadata values with counts, and the chosen ones as chips.
import { element } from "./dom.js";
import { label } from "./labels.js";
import { count as counted } from "./language.js";

const SHOWN = 5;

const equal = (one, other) => one.field === other.field && one.value === other.value;
const shown = (value) => (value === null ? label("without") : String(value));

/** The filters with one more, or without it where it is among them. */
export function toggled(filters, filter) {
  const rest = filters.filter((each) => !equal(each, filter));
  return rest.length < filters.length ? rest : [...filters, filter];
}

/** Chips for the chosen filters; `drop(filter)` is called when one is clicked. */
export function chips(filters, drop) {
  return filters.map((filter, place) =>
    element(
      "li",
      {},
      element(
        "button",
        {
          type: "button",
          class: "chip",
          "data-key": `chip ${place}`,
          "aria-label": label("dropFilter", filter.field, shown(filter.value)),
          onclick: () => drop(filter),
        },
        element("span", { class: "field" }, filter.field),
        element("span", { dir: "auto" }, shown(filter.value)),
        element("span", { class: "cross", "aria-hidden": "true" }, "×"),
      ),
    ),
  );
}

/** The facets of an answer as groups; fields whose values are all different say nothing. */
export class Facets {
  constructor(choose, changed) {
    this.choose = choose;
    this.changed = changed;
    this.unfolded = new Set();
  }

  draw(facets, filters) {
    const telling = Object.entries(facets.fields).filter(
      ([, values]) => values.length < 2 || values.some(({ count }) => count > 1),
    );
    const groups = telling.filter(([, values]) => values.length);
    if (!groups.length) return [];
    return [
      ...groups.map(([field, values]) => this.group(field, values, filters)),
      element("p", { class: "quiet" }, label("counted", facets.counted)),
    ];
  }

  group(field, values, filters) {
    const open = this.unfolded.has(field);
    const visible = open ? values : values.slice(0, SHOWN);
    return element(
      "section",
      { class: "facet" },
      element("h3", {}, field),
      element(
        "ul",
        {},
        visible.map((value) => element("li", {}, this.value(field, value, filters))),
      ),
      values.length > SHOWN ? this.fold(field, values.length - SHOWN, open) : null,
    );
  }

  value(field, { value, count }, filters) {
    const filter = { field, value };
    const chosen = filters.some((each) => equal(each, filter));
    return element(
      "button",
      {
        type: "button",
        class: "value",
        "data-key": `facet ${JSON.stringify([field, value])}`,
        "aria-pressed": String(chosen),
        "aria-label": label("addFilter", field, shown(value), count),
        onclick: () => this.choose(filter),
      },
      element("span", { class: "name", dir: "auto" }, shown(value)),
      element("span", { class: "count" }, counted(count)),
    );
  }

  fold(field, hidden, open) {
    return element(
      "button",
      {
        type: "button",
        class: "fold",
        "data-key": `fold ${field}`,
        "aria-expanded": String(open),
        onclick: () => {
          if (open) this.unfolded.delete(field);
          else this.unfolded.add(field);
          this.changed();
        },
      },
      open ? label("fewerValues", field) : label("moreValues", hidden, field),
    );
  }
}
