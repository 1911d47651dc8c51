// The page: its state, what it asked and what came back, and who draws which part of it.
import { Address } from "./address.js";
import { ask } from "./client.js";
import { byId } from "./dom.js";
import { DocumentView } from "./documentview.js";
import { label } from "./labels.js";
import { Latest } from "./latest.js";
import { announce } from "./messages.js";
import { compareBodies, explainBody, searchBody, wayOf } from "./question.js";
import { Results } from "./results.js";
import { drawSettings } from "./settings.js";
import { PAGE } from "./state.js";
import { Troubles } from "./troubles.js";

const TYPING = 120; // ms that the box must rest before it is searched for
const OFTEN = 10_000; // ms before the index's facts are asked for again

export class Page {
  constructor() {
    this.box = byId("query");
    this.address = new Address((state) => this.show(state));
    this.state = this.address.read();
    this.index = null;
    this.answer = null; // the last one: {question, state, answers, trip}
    this.asked = null;
    this.typing = false;
    this.troubles = new Troubles({
      tryNow: () => this.retryNow(),
      keyed: () => this.askAgain(),
      orElse: this.box,
    });
    const failed = (error) => this.fail(error);
    this.facts = new Latest({ answered: (facts) => this.learn(facts), failed });
    this.search = new Latest({
      asking: () => byId("results").setAttribute("aria-busy", "true"),
      answered: (answers, trip) => this.receive(answers, trip),
      failed,
    });
    this.results = new Results((change) => this.go(change), (id) => this.link(id), this.box);
    this.view = new DocumentView({
      move: (id) => this.go({ open: id }, { replace: true }),
      close: () => this.closeDocument(),
      explain: (hit, signal) =>
        ask("search", { body: explainBody(this.answer.state, this.wayOf(hit), hit.rank), signal }),
      refused: (error) => this.wantsKey(error),
    });
  }

  start() {
    this.box.value = this.state.query;
    this.facts.run((signal) => ask("index", { signal }));
  }

  /** Draw everything anew, in another language say. */
  redraw() {
    this.troubles.redraw();
    if (!this.index) return;
    this.results.forget();
    this.view.forget();
    this.draw();
    if (this.answer?.answers.length) announce(this.results.told());
  }

  /** Change the state; a change that is not typed is searched for at once. */
  go(change, { replace = false, delay = 0 } = {}) {
    this.address.write();
    if (delay === 0) this.typing = false;
    const fresh = "top" in change || "open" in change ? {} : { top: PAGE };
    this.state = { ...this.state, ...fresh, ...change };
    this.address.note(this.state, replace);
    if (delay === 0 || !this.state.query.trim()) this.address.write(Boolean(change.open));
    this.sync(delay);
  }

  /** Take over the state of an address. */
  show(state) {
    this.state = state;
    this.typing = false;
    this.sync(0);
  }

  /** The box has another text: one entry of the history for each bout of typing. */
  type(query) {
    const replace = this.typing;
    this.state = { ...this.state, query, top: PAGE };
    this.address.note(this.state, replace);
    this.typing = true;
    if (!query.trim()) this.address.write();
    this.sync(TYPING);
  }

  /** The typing has ended; what waits is searched for now. */
  settle() {
    this.typing = false;
    if (this.answer?.question !== this.asked && this.asked !== null) {
      this.asked = null;
      this.sync(0);
    }
  }

  link(id) {
    return this.address.link({ ...this.state, open: id });
  }

  closeDocument() {
    if (this.state.open === null) return;
    if (this.address.canGoBack()) {
      this.view.close();
      this.state = { ...this.state, open: null };
      history.back();
    } else this.go({ open: null });
  }

  /** Bring what is seen in line with the state. */
  sync(delay) {
    if (!this.index) return;
    if (this.box.value !== this.state.query) this.box.value = this.state.query;
    const question = questionOf(this.state);
    if (question === null) {
      this.search.stop();
      this.asked = this.answer = null;
      this.troubles.clear();
    } else if (question !== this.asked) {
      this.asked = question;
      this.search.run((signal) => this.task(signal), delay);
    }
    this.draw();
    this.showDocument();
  }

  async task(signal) {
    this.address.write();
    const { state, index, asked: question } = this;
    const bodies = state.compare ? compareBodies(state, index) : [searchBody(state, index)];
    const answers = await Promise.all(bodies.map((body) => ask("search", { body, signal })));
    return { question, state, answers };
  }

  draw() {
    drawSettings(byId("settings"), this.state, this.index, (change) => this.go(change), this.box);
    this.results.draw(this.state, this.index, this.answer);
  }

  receive({ question, state, answers }, trip) {
    this.answer = { question, state, answers, trip };
    const recovered = this.troubles.error?.passing;
    this.troubles.clear();
    byId("results").removeAttribute("aria-busy");
    this.draw();
    this.showDocument();
    announce((recovered ? `${label("back")} ` : "") + this.results.told());
    this.refresh(answers[0].index_version);
  }

  /** The document of the state, once it is known which hit it is. */
  showDocument() {
    if (this.state.open === null) this.view.close();
    else if (this.asked === null || this.asked === this.answer?.question) {
      this.view.open(this.state.open, this.hitsFor(this.state.open));
    }
  }

  /** The hits among which a document is: of the compare view's sides the one that has it. */
  hitsFor(id) {
    const lists = (this.answer?.answers ?? []).map(({ hits }) => hits);
    return [...lists].reverse().find((hits) => hits.some((hit) => hit.id === id)) ?? [];
  }

  wayOf(hit) {
    const { state, answers } = this.answer;
    if (!state.compare) return wayOf(state, this.index);
    return state.compare[answers.findIndex(({ hits }) => hits.includes(hit))];
  }

  learn(facts) {
    const first = this.index === null;
    this.index = facts;
    this.learned = Date.now();
    if (!first) {
      this.draw();
      return;
    }
    this.troubles.clear();
    this.sync(0);
  }

  /** Ask for the index's facts again where an answer came from a newer commit. */
  refresh(version) {
    if (version === this.index.version || Date.now() - this.learned < OFTEN) return;
    this.facts.run((signal) => ask("index", { signal }));
  }

  fail(error) {
    if (this.wantsKey(error)) return;
    if (!error.passing && error.status === undefined) throw error;
    this.troubles.tell(error);
    if (error.passing) return;
    byId("results").removeAttribute("aria-busy");
    this.answer = { question: this.asked, state: this.state, answers: [], trip: 0 };
    if (this.index) this.draw();
    this.showDocument();
  }

  wantsKey(error) {
    if (error.status !== 401) return false;
    this.view.hide();
    this.troubles.askForKey();
    return true;
  }

  /** Try what waits for the server at once. */
  retryNow() {
    this.facts.retryNow();
    this.search.retryNow();
  }

  /** There is another key. */
  askAgain() {
    this.asked = null;
    if (this.index) this.sync(0);
    else this.start();
  }
}

/** What is asked of the service, as one string; null where nothing is. */
function questionOf(state) {
  if (!state.query.trim()) return null;
  return JSON.stringify({ ...state, open: null });
}
