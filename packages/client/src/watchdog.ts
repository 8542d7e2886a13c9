/**
 * Notices that nothing has been heard for too long. A network that is gone says nothing: without this
 * a page would wait on a dead socket for many minutes.
 */
export class Watchdog {
  #limit = 0;
  #heardAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #answer: ReturnType<typeof setTimeout> | undefined;
  readonly #onSilence: () => void;

  constructor(onSilence: () => void) {
    this.#onSilence = onSilence;
  }

  /** From now on, `limit` milliseconds without `heard` are too many. */
  watch(limit: number): void {
    this.stop();
    this.#limit = limit;
    this.#heardAt = Date.now();
    this.#check(limit);
  }

  /** Something was asked: `onLate` when nothing at all is heard within `limit`. */
  expectAnswer(limit: number, onLate: () => void): void {
    this.#answer ??= setTimeout(onLate, limit);
  }

  /** Cheap enough for every token: it notes the time and leaves the long timer alone. */
  heard(): void {
    this.#heardAt = Date.now();
    if (this.#answer !== undefined) this.#forgetQuestion();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#forgetQuestion();
  }

  #forgetQuestion(): void {
    clearTimeout(this.#answer);
    this.#answer = undefined;
  }

  #check(delay: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#heardAt + this.#limit - Date.now();
      if (left > 0) this.#check(left);
      else this.#onSilence();
    }, delay);
  }
}
