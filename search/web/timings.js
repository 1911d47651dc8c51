// Where the time of an answer went, as one small bar and a table behind it.
import { drawn, element } from "./dom.js";
import { label } from "./labels.js";
import { milliseconds } from "./numbers.js";

const WIDTH = 120;

/** Split an answer's times into stages [{stage, ms}], what no stage accounts for last. */
export function parts(took) {
  const stages = Object.entries(took)
    .filter(([stage]) => stage !== "total")
    .map(([stage, ms]) => ({ stage, ms }));
  const rest = took.total - stages.reduce((sum, { ms }) => sum + ms, 0);
  return rest > 0.05 ? [...stages, { stage: "rest", ms: rest }] : stages;
}

/** The bar; it opens to the table. `trip` is what the browser waited, milliseconds. */
export function timings(took, trip, open, toggled) {
  if (took.total === undefined) return null;
  const stages = parts(took);
  return element(
    "details",
    { class: "timings", open, ontoggle: (event) => toggled(event.target.open) },
    element(
      "summary",
      { title: label("stages"), "data-key": "timings" },
      bar(stages),
      element("span", {}, label("took", milliseconds(took.total))),
    ),
    table([...stages, { stage: "total", ms: took.total }, { stage: "trip", ms: trip }]),
  );
}

function bar(stages) {
  const whole = stages.reduce((sum, { ms }) => sum + ms, 0) || 1;
  let left = 0;
  const pieces = stages.map(({ ms }, place) => {
    const width = (ms / whole) * WIDTH;
    const x = left;
    left += width;
    const shade = `t${place % 4}`;
    return drawn("rect", { x, width: Math.max(0, width - 1), height: 6, class: shade });
  });
  return drawn("svg", { class: "bar", viewBox: `0 0 ${WIDTH} 6`, "aria-hidden": "true" }, pieces);
}

function table(rows) {
  return element(
    "table",
    { "aria-label": label("stages") },
    rows.map(({ stage, ms }) =>
      element(
        "tr",
        { class: stage === "total" ? "sum" : null },
        element("th", { scope: "row" }, label(stage)),
        element("td", {}, label("took", milliseconds(ms))),
      ),
    ),
  );
}
