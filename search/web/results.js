// The results' part of the page: hits or the comparison, what frames them, and what there is instead.
import { Compare } from "./compare.js";
import { byId, element, replaceKeepingFocus } from "./dom.js";
import { chips, Facets, toggled } from "./facets.js";
import { hitList } from "./hits.js";
import { label } from "./labels.js";
import { SERVERS } from "./language.js";
import { narrow } from "./layout.js";
import { nothing, welcome } from "./messages.js";
import { waysOf } from "./question.js";
import { mayGrow, PAGE } from "./state.js";
import { timings } from "./timings.js";

export class Results {
  /** `go(change)` changes the page's state, `link(id)` is the address of a document's view. */
  constructor(go, link, box) {
    this.go = go;
    this.link = link;
    this.box = box;
    this.timingsOpen = false;
    this.drawn = null;
    const choose = (filter) => go({ filters: toggled(this.state.filters, filter) });
    this.facets = new Facets(choose, () => this.drawFacets());
    this.compare = new Compare(byId("comparison"), (side, way) => {
      go({ compare: this.state.compare.map((each, place) => (place === side ? way : each)) });
    });
    byId("more").addEventListener("click", () => go({ top: this.state.top + PAGE }));
    this.foldOnPhones();
  }

  /** Draw the whole anew next time, whatever is there. */
  forget() {
    this.drawn = null;
  }

  draw(state, index, answer) {
    Object.assign(this, { state, index, answer });
    this.drawChips();
    document.body.classList.toggle("comparing", state.compare !== null);
    document.body.classList.toggle("idle", answer === null);
    if (this.drawn && this.drawn.answer === answer && this.drawn.index === index) return;
    this.drawn = { answer, index };
    const view = this.view();
    byId("comparison").hidden = view !== "comparison";
    replaceKeepingFocus(byId("hits"), view === "hits" ? this.hits() : [], this.box);
    replaceKeepingFocus(byId("comparison"), view === "comparison" ? this.columns() : [], this.box);
    byId("message").replaceChildren(...this.message(view));
    byId("more").hidden = view !== "hits" || !this.hasMore();
    this.compare.connect();
    this.drawSummary(view);
    this.drawFacets();
  }

  /** What the answer is shown as. */
  view() {
    if (this.answer === null) return "welcome";
    const { answers, state } = this.answer;
    if (!answers.length) return "refused";
    if (!answers.some(({ hits }) => hits.length)) return "nothing";
    return state.compare ? "comparison" : "hits";
  }

  hits() {
    return hitList(this.answer.answers[0].hits, this.link);
  }

  columns() {
    const { answers, state } = this.answer;
    return this.compare.draw(answers, state.compare, waysOf(this.index), this.link, this.times());
  }

  message(view) {
    if (view === "welcome") return welcome(this.index);
    return view === "nothing" ? nothing(this.index) : [];
  }

  hasMore() {
    const { answers, state } = this.answer;
    return answers[0].hits.length === state.top && mayGrow(state);
  }

  /** How many there are, in words. */
  told() {
    const view = this.view();
    if (view === "nothing") return label(this.index.documents ? "noHits" : "emptyIndex");
    const { answers } = this.answer;
    if (view === "comparison") {
      return label("common", this.compare.shared(), Math.min(PAGE, answers[1].hits.length));
    }
    const { hits, total_matches: all } = answers[0];
    return all === null ? label("hits", hits.length) : label("hitsOf", hits.length, all);
  }

  drawSummary(view) {
    const shown = view === "hits" || view === "comparison";
    const times = view === "hits" ? this.times() : [];
    const parts = shown ? [element("p", {}, this.told()), ...times, ...this.notices()] : [];
    replaceKeepingFocus(byId("summary"), parts.filter(Boolean), this.box);
  }

  times() {
    const { answers, trip } = this.answer;
    const kept = (open) => {
      this.timingsOpen = open;
    };
    return answers.map(({ took_ms: took }) => timings(took, trip, this.timingsOpen, kept));
  }

  notices() {
    const lines = new Set(this.answer.answers.flatMap(({ notices }) => notices));
    return [...lines].map((line) => element("p", { class: "notice", lang: SERVERS }, line));
  }

  drawChips() {
    const { filters } = this.state;
    byId("chips").hidden = !filters.length;
    const drop = (filter) => this.go({ filters: toggled(filters, filter) });
    replaceKeepingFocus(byId("chips"), chips(filters, drop), this.box);
  }

  drawFacets() {
    const facets = this.answer?.answers[0]?.facets;
    const groups = facets ? this.facets.draw(facets, this.state.filters) : [];
    replaceKeepingFocus(byId("facet-groups"), groups, this.box);
    byId("facets").hidden = !groups.length;
  }

  /** Where the page is narrow the filters start folded, since they stand above the hits. */
  foldOnPhones() {
    const fold = () => {
      byId("facets").open = !narrow.matches;
    };
    narrow.addEventListener("change", fold);
    fold();
  }
}
