// The page's state in the browser's address and history.
import { formatState, parseState } from "./state.js";

/** `moved(state)` is called when the person goes back or forward. */
export class Address {
  constructor(moved) {
    this.waiting = null;
    window.addEventListener("popstate", () => {
      this.waiting = null;
      moved(this.read());
    });
  }

  read() {
    return parseState(location.search);
  }

  link(state) {
    return formatState(state) || location.pathname;
  }

  /** Note a state to be written; of several until `write` only one entry comes. */
  note(state, replace) {
    this.waiting = { state, replace: replace && (this.waiting?.replace ?? true) };
  }

  /** Write what was noted. `opened` marks an entry that going back closes. */
  write(opened = false) {
    if (!this.waiting) return;
    const { state, replace } = this.waiting;
    this.waiting = null;
    const address = this.link(state);
    if (address === this.link(this.read())) return;
    if (replace) history.replaceState({ opened: opened || Boolean(history.state?.opened) }, "", address);
    else history.pushState({ opened }, "", address);
  }

  /** Tell whether going back leads to the page without the document in view. */
  canGoBack() {
    return Boolean(history.state?.opened);
  }
}
