/**
 * How long to wait before the next attempt to connect.
 *
 * After a restart of the server every client comes back at once, so the whole delay is random ("full
 * jitter"): a fixed part would only move the crowd.
 */

const FIRST_MS = 1_000;
const BASE_MS = 1_000;
const CAP_MS = 30_000;
const CALM_MS = 60_000;

/** The longest that attempt `n` (from 0) may have to wait. */
export function longestDelay(attempt: number): number {
  return attempt === 0 ? FIRST_MS : Math.min(CAP_MS, BASE_MS * 2 ** attempt);
}

export class Backoff {
  #attempt = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The attempt that `next` will pay for; shown to the user. */
  get attempt(): number {
    return this.#attempt;
  }

  /**
   * The delay before the next attempt. `soon` lets the first one come within a second; without it the
   * server has asked for room and the first attempt already counts as a failed one.
   */
  next(soon: boolean): number {
    const attempt = soon ? this.#attempt : Math.max(1, this.#attempt);
    this.#attempt = attempt + 1;
    return Math.round(this.#random() * longestDelay(attempt));
  }

  /**
   * To be told how long the last connection held. Only a calm minute forgives: a server that accepts
   * and drops at once would otherwise be hammered every second.
   */
  connectionLasted(ms: number): void {
    if (ms >= CALM_MS) this.#attempt = 0;
  }
}
