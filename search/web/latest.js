// Of many questions in a row only the last one's answer counts.

const FIRST_WAIT = 1; // seconds
const LONGEST_WAIT = 15;

/**
 * Runs one task at a time. A newer one stops the one before; what still comes of that is dropped.
 * A task that fails with a passing error is run again, later and later, until it answers or a newer
 * one comes; `failed(error)` is told each time, `answered(answer, milliseconds)` once.
 */
export class Latest {
  constructor({ asking = () => {}, answered, failed }) {
    this.tell = { asking, answered, failed };
    this.sequence = 0;
    this.timer = 0;
    this.controller = null;
    this.again = null;
  }

  /** Run `task(signal)` after `delay` milliseconds, unless another comes before. */
  run(task, delay = 0) {
    this.stop();
    const sequence = this.sequence;
    const begin = (wait) => {
      this.controller = new AbortController();
      this.again = null;
      this.attempt(task, sequence, wait, begin);
    };
    if (delay > 0) this.timer = setTimeout(begin, delay, FIRST_WAIT);
    else begin(FIRST_WAIT);
  }

  /** Forget the task under way, and any that waits. */
  stop() {
    this.sequence += 1;
    clearTimeout(this.timer);
    this.controller?.abort();
    this.controller = null;
    this.again = null;
  }

  /** Run a task that waits to be tried again, now. */
  retryNow() {
    if (!this.again) return;
    clearTimeout(this.timer);
    this.again(FIRST_WAIT);
  }

  async attempt(task, sequence, wait, begin) {
    this.tell.asking();
    const started = performance.now();
    let answer;
    try {
      answer = await task(this.controller.signal);
    } catch (error) {
      if (sequence !== this.sequence) return;
      if (error.passing) this.later(begin, wait, error.seconds ?? 0);
      this.tell.failed(error);
      return;
    }
    if (sequence === this.sequence) this.tell.answered(answer, performance.now() - started);
  }

  later(begin, wait, atLeast) {
    const next = Math.min(wait * 2, LONGEST_WAIT);
    this.again = begin;
    this.timer = setTimeout(begin, Math.max(wait, atLeast) * 1000, next);
  }
}
