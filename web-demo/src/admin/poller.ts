/**
 * Asks again and again, as long as somebody looks: a page that is hidden asks nothing, and one that comes back asks at
 * once. What is asked is never asked twice at the same time, and when the gateway wants to be left alone, it is.
 */
import { Problem } from "../documents/problem";

/** After a failure, at least. */
const REST_MS = 5_000;

export interface Asking {
  readonly everyMs: number;
  ask(): Promise<void>;
  /** It came to nothing. `true`: it makes no sense to go on before `resume`. */
  failed(error: unknown): boolean;
}

export class Poller {
  readonly #asking: Asking;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #under = false;
  #stopped = true;
  /** Counts the times it was resumed: what an older round came to is no news then. */
  #resumed = 0;

  constructor(asking: Asking) {
    this.#asking = asking;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.#stopped) this.resume();
    });
  }

  /** Asks now, and from now on. */
  resume(): void {
    this.#stopped = false;
    this.#resumed++;
    void this.#round();
  }

  async #round(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#under || this.#stopped || document.hidden) return;
    this.#under = true;
    const begun = this.#resumed;
    let rest = this.#asking.everyMs;
    try {
      await this.#asking.ask();
    } catch (error) {
      const wanted = error instanceof Problem ? (error.retryMs ?? 0) : 0;
      rest = Math.max(rest, REST_MS, wanted);
      if (begun === this.#resumed && this.#asking.failed(error)) this.#stopped = true;
    } finally {
      this.#under = false;
    }
    if (begun !== this.#resumed) void this.#round();
    else if (!this.#stopped) this.#timer = setTimeout(() => void this.#round(), rest);
  }
}
