// How a hit's score came about, as tables.
import { slice } from "./codepoints.js";
import { element } from "./dom.js";
import { label } from "./labels.js";
import { count } from "./language.js";
import { score } from "./numbers.js";

/** Draw an explanation of a hit; `text` is its document's. */
export function explanationTables({ parts, terms, final, alignments }, text) {
  return [
    table("parts", ["stage", "rank", "score", "normalised", "weight", "value"], parts.map(partRow)),
    final && table("final", ["stage", "score", "normalised", "weight"], finalRows(final)),
    table("terms", ["word", "score", "inDocuments", "frequency"], terms.map(termRow)),
    table("aligned", ["word", "meets", "similarity"], alignments.map((each) => alignedRow(each, text))),
  ].filter(Boolean);
}

function partRow({ stage, rank, score: raw, normalised, weight, value }) {
  return [label(stage), rank, score(raw), score(normalised), score(weight), score(value)];
}

function finalRows(final) {
  return [
    [label("first"), score(final.first), score(final.first_normalised), score(1 - final.weight)],
    [label("rerank"), score(final.rerank), score(final.rerank_normalised), score(final.weight)],
    [label("total"), score(final.score), "", ""],
  ];
}

function termRow({ words, term, score: value, documents, frequency }) {
  return [words.join(", ") || term, score(value), count(documents), count(frequency)];
}

function alignedRow({ word, start, end, similarity }, text) {
  return [word, end ? slice(text, start, end) : label("inTitle"), score(similarity)];
}

const columnHead = (head) => element("th", { scope: "col" }, label(head));

function table(title, heads, rows) {
  if (!rows.length) return null;
  return element(
    "table",
    { class: title },
    element("caption", {}, label(title)),
    element("thead", {}, element("tr", {}, heads.map(columnHead))),
    element(
      "tbody",
      {},
      rows.map(([first, ...rest]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row", dir: "auto" }, first),
          rest.map((cell) => element("td", { dir: "auto" }, String(cell))),
        ),
      ),
    ),
  );
}
