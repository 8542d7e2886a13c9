/**
 * Tells the others that somebody writes here: now and then while keys are pressed, and once when they
 * rest. A frame for every key would be heard by nobody any better.
 */

const REPEAT_MS = 3_000;
const PAUSE_MS = 5_000;

export class TypingSignal {
  /** When the others were told last; `null`: they take this side for quiet. */
  #toldAt: number | null = null;
  #pause: ReturnType<typeof setTimeout> | undefined;
  readonly #tell: (on: boolean) => boolean;

  /** `tell` says whether it could. */
  constructor(tell: (on: boolean) => boolean) {
    this.#tell = tell;
  }

  /** To be called for every change of what is being written. */
  key(): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.rest(), PAUSE_MS);
    const due = this.#toldAt === null || Date.now() - this.#toldAt >= REPEAT_MS;
    if (due && this.#tell(true)) this.#toldAt = Date.now();
  }

  /** The text was sent, emptied or left alone. */
  rest(): void {
    const told = this.#toldAt !== null;
    this.forget();
    if (told) this.#tell(false);
  }

  /** The socket is gone, and what the others were told over it went with it. */
  forget(): void {
    clearTimeout(this.#pause);
    this.#toldAt = null;
  }
}
