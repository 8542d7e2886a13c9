/**
 * Which end a reader is on the way to who scrolls down while text comes: not the one that is there now, but
 * the one that was there when they set off. A smooth scroll takes a while, and begins a moment after its key.
 */

/** A smooth scroll begins within this, on a busy machine too, and is over when it stands still for so long. */
const PAUSE_MS = 500;

export class ScrollAim {
  /** Where the end was, and since when; the first is what held a pause ago. */
  readonly #ends: { end: number; since: number }[] = [];
  #aim = 0;
  #movedAt = Number.NEGATIVE_INFINITY;

  /** The end was seen at a place. */
  see(end: number): void {
    const now = performance.now();
    if (this.#ends.at(-1)?.end !== end) this.#ends.push({ end, since: now });
    while ((this.#ends[1]?.since ?? now) <= now - PAUSE_MS) this.#ends.shift();
  }

  /** The reader has moved down; gives the end that they are on the way to. */
  movedDown(): number {
    const now = performance.now();
    if (now - this.#movedAt > PAUSE_MS) this.#aim = this.#ends[0]?.end ?? 0;
    this.#movedAt = now;
    return this.#aim;
  }
}
