// The list of hits.
import { element } from "./dom.js";
import { marked } from "./marks.js";
import { stagesThatRan, way } from "./stages.js";

/** Draw an answer's hits; `link(id)` is the address of a document's view. */
export function hitList(hits, link) {
  const ran = stagesThatRan(hits);
  return hits.map((hit) => element("li", { class: "hit" }, article(hit, ran, link)));
}

function article(hit, ran, link) {
  const name = hit.title || hit.id;
  return element(
    "article",
    {},
    element("h3", {}, hitLink(hit, link)),
    name === hit.id ? null : element("p", { class: "id" }, hit.id),
    hit.snippet && element("p", { class: "snippet", dir: "auto" }, snippet(hit)),
    element("div", { class: "foot" }, tags(hit.metadata), way(hit, ran)),
  );
}

/** The link that opens a hit's document; arrows and Enter work on it. */
export function hitLink(hit, link) {
  return element(
    "a",
    {
      class: "open",
      dir: "auto",
      href: link(hit.id),
      "data-document": hit.id,
      "data-key": `hit ${hit.id}`,
    },
    hit.title || hit.id,
  );
}

function snippet(hit) {
  return marked(hit.snippet, hit.snippet_start, hit.highlights);
}

const MOST_TAGS = 4;

/** A few short values of the metadata. */
function tags(metadata) {
  const short = Object.entries(metadata)
    .flatMap(([field, value]) => [value].flat().map((each) => [field, each]))
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
    .map(([field, value]) => [field, String(value)])
    .filter(([, value]) => value && value.length <= 40)
    .slice(0, MOST_TAGS);
  if (!short.length) return null;
  return element(
    "p",
    { class: "tags" },
    short.map(([field, value]) => element("span", { title: field, dir: "auto" }, value)),
  );
}
