// What keeps an answer away, above the results: a line that is read out, or the key to be given.
import { keepKey, keptKey } from "./client.js";
import { byId, element, replaceKeepingFocus } from "./dom.js";
import { label } from "./labels.js";
import { SERVERS } from "./language.js";

/** `tryNow()` is called when the person will not wait, `keyed()` once there is another key. */
export class Troubles {
  constructor({ tryNow, keyed, orElse }) {
    Object.assign(this, { tryNow, keyed, orElse });
    this.error = null;
    this.why = null; // the label that tells why a key is asked for
  }

  /** Tell of an error; one that is told already is not read out again at every trial. */
  tell(error) {
    const told = this.error?.message === error.message && this.error.passing === error.passing;
    this.error = error;
    this.why = null;
    if (!told) this.redraw();
  }

  /** Ask for a key, once. */
  askForKey() {
    if (this.why) return;
    this.error = null;
    this.why = keptKey() ? "keyWrong" : "keyWanted";
    this.field = keyField();
    this.redraw();
    this.field.focus();
  }

  clear() {
    this.error = this.why = null;
    this.redraw();
  }

  redraw() {
    replaceKeepingFocus(byId("trouble"), this.error ? [this.line()] : [], this.orElse);
    replaceKeepingFocus(byId("key-place"), this.why ? [this.form()] : [], this.orElse);
  }

  /** The error's line; a passing one has a button that tries at once. */
  line() {
    const { message, passing } = this.error;
    return element(
      "div",
      { class: "trouble" },
      element("p", {}, ...(message ? sentences(message, passing) : [label("unreachable")])),
      passing &&
        element("button", { type: "button", "data-key": "try", onclick: this.tryNow }, label("tryNow")),
    );
  }

  form() {
    const submit = (event) => {
      event.preventDefault();
      keepKey(this.field.value.trim());
      this.clear();
      this.keyed();
    };
    return element(
      "form",
      { class: "key trouble", onsubmit: submit },
      element("p", { id: "key-why" }, `${label(this.why)} ${label("keyKept")}`),
      element("label", { for: "key" }, label("keyLabel")),
      this.field,
      element("button", {}, label("keySend")),
    );
  }
}

/** The server's sentence, and the page's own where it is tried again. */
export function sentences(message, passing = false) {
  const servers = element("span", { lang: SERVERS }, message);
  return passing ? [servers, ` ${label("tryingAgain")}`] : [servers];
}

function keyField() {
  return element("input", {
    type: "password",
    id: "key",
    autocomplete: "off",
    required: true,
    pattern: "[!-~]+", // what a header can carry
    "aria-describedby": "key-why",
    "data-key": "key",
  });
}
