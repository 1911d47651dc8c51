// One document over the page: its text with the best passage marked, and why it is where it is.
import { ask } from "./client.js";
import { utf16Offsets } from "./codepoints.js";
import { byId, element } from "./dom.js";
import { explanationTables } from "./explanation.js";
import { label } from "./labels.js";
import { Latest } from "./latest.js";
import { marked } from "./marks.js";
import { stagesThatRan, way } from "./stages.js";
import { sentences } from "./troubles.js";

/** A dialog over the page. `move(id)` shows another document, `close()` leaves the view. */
export class DocumentView {
  constructor({ move, close, explain, refused }) {
    this.dialog = byId("document");
    this.explain = explain;
    this.move = move;
    this.id = this.hit = this.document = null;
    this.hits = [];
    this.stale = false;
    const failed = (error) => this.fail(error, refused);
    this.reading = new Latest({ answered: (document) => this.show(document), failed });
    this.explaining = new Latest({ answered: (answer) => this.tell(answer), failed });
    byId("close").addEventListener("click", close);
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    byId("explain").addEventListener("click", () => this.why());
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close();
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) close();
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
    });
  }

  /** Open a document of an answer's hits, or one that is none of them. */
  open(id, hits) {
    const hit = hits.find((each) => each.id === id) ?? null;
    const same = !this.stale && this.document?.id === id && JSON.stringify(hit) === JSON.stringify(this.hit);
    this.hits = hits;
    this.stale = false;
    if (!this.dialog.open) this.dialog.showModal();
    if (same) return;
    const again = this.id === id ? this.document : null;
    Object.assign(this, { id, hit, document: null });
    this.head(hit?.title || id);
    this.clear();
    if (again) {
      this.show(again);
      return;
    }
    byId("text").replaceChildren(element("p", { class: "quiet" }, label("loading")));
    // In one piece: a browser would resolve the dots of an id like a/../b.
    this.reading.run((signal) => ask(`documents/${encodeURIComponent(id)}`, { signal }));
  }

  close() {
    this.reading.stop();
    this.explaining.stop();
    this.id = this.document = null;
    this.hide();
  }

  /** Draw the whole anew next time. */
  forget() {
    this.stale = true;
  }

  /** Leave the page to something that has to be answered first. */
  hide() {
    if (this.dialog.open) this.dialog.close();
  }

  step(by) {
    const place = this.hits.findIndex((each) => each.id === this.id);
    const next = this.hits[place + by];
    if (place >= 0 && next) this.move(next.id);
  }

  head(title) {
    const place = this.hits.findIndex((each) => each.id === this.id);
    byId("document-title").textContent = byId("short-title").textContent = title;
    byId("document-id").textContent = title === this.id ? "" : this.id;
    byId("place").textContent =
      place < 0 ? label("notAHit") : label("place", this.hit.rank, this.hits.length);
    byId("previous").disabled = place <= 0;
    byId("next").disabled = place < 0 || place + 1 >= this.hits.length;
  }

  clear() {
    this.explaining.stop();
    byId("metadata").replaceChildren();
    byId("document-way").replaceChildren(
      ...(this.hit ? [way(this.hit, stagesThatRan(this.hits))] : []),
    );
    byId("explain").hidden = !this.hit;
    byId("explain").setAttribute("aria-expanded", "false");
    byId("explanation").replaceChildren();
    byId("document-trouble").replaceChildren();
  }

  show(document) {
    this.document = document;
    this.head(document.title || document.id);
    byId("document-trouble").replaceChildren();
    byId("metadata").replaceChildren(...metadataRows(document.metadata));
    byId("text").replaceChildren(...body(document.text, this.hit));
    const best = byId("text").querySelector(".passage");
    if (best) best.scrollIntoView({ block: "center" });
    else byId("pane").scrollTop = 0;
  }

  why() {
    const open = byId("explanation").hasChildNodes();
    byId("explain").setAttribute("aria-expanded", String(!open));
    byId("explanation").replaceChildren();
    this.explaining.stop();
    if (open) return;
    byId("explanation").append(element("p", { class: "quiet" }, label("loading")));
    this.explaining.run((signal) => this.explain(this.hit, signal));
  }

  tell(answer) {
    const found = answer.hits.find((hit) => hit.id === this.id);
    byId("document-trouble").replaceChildren();
    // A write came in between: the place of this hit holds another now.
    const tables = found
      ? explanationTables(found.explanation, this.document?.text ?? "")
      : [element("p", { class: "quiet" }, label("movedAway"))];
    byId("explanation").replaceChildren(...tables);
  }

  fail(error, refused) {
    if (refused(error)) return;
    const line = error.message ? sentences(error.message) : [label("unreachable")];
    byId("document-trouble").replaceChildren(element("p", { class: "trouble" }, ...line));
    if (error.passing) return;
    for (const place of ["text", "explanation"]) {
      if (byId(place).querySelector(":scope > .quiet")) byId(place).replaceChildren();
    }
  }
}

function metadataRows(metadata) {
  return Object.entries(metadata).map(([field, value]) =>
    element(
      "div",
      {},
      element("dt", {}, field),
      element("dd", { dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value)),
    ),
  );
}

/** The text in three pieces, the best passage being the middle one; words are marked in all. */
function body(text, hit) {
  if (!text.trim()) return [element("p", { class: "quiet" }, label("noText"))];
  if (!hit || hit.passage.end <= hit.passage.start) return [text];
  const { start, end } = hit.passage;
  const [first, last] = utf16Offsets(text, [start, end]);
  const told = { class: "passage", role: "group", "aria-label": label("bestPassage") };
  return [
    ...marked(text.slice(0, first), 0, hit.highlights),
    element("span", told, marked(text.slice(first, last), start, hit.highlights)),
    ...marked(text.slice(last), end, hit.highlights),
  ];
}
