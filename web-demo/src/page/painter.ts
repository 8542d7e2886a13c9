/**
 * When the page is painted: however many tokens arrive, once per frame; and after a painting that took
 * long, only after a rest that is longer still, so that keys and clicks are always heard.
 */

/** Paints what there is to paint, and says whether something is left for the next time. Throws nothing. */
export type Paint = () => boolean;

/** So many times as long as a painting took is rested after it. */
const REST = 2;
/** A shorter rest is what lies between two frames anyway. */
const FRAME_MS = 16;

export class Painter {
  readonly #paint: Paint;
  #waiting = false;
  #rest = 0;

  constructor(paint: Paint) {
    this.#paint = paint;
  }

  /** Paints before long. */
  soon(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    const frame = (): void => void requestAnimationFrame(() => this.#now());
    if (this.#rest > FRAME_MS) setTimeout(frame, this.#rest);
    else frame();
  }

  #now(): void {
    this.#waiting = false;
    const begun = performance.now();
    const left = this.#paint();
    this.#rest = REST * (performance.now() - begun);
    if (left) this.soon();
  }
}
