/**
 * When the page is painted: however many tokens arrive, once per frame; and after a painting that took
 * long, only after a rest that is as long, so that keys and clicks are always heard.
 */

/** Paints what there is to paint, and says whether something is left for the next time. Throws nothing. */
export type Paint = () => boolean;

/** A painting that takes longer is felt by whoever types. */
const LONG_MS = 50;

export class Painter {
  readonly #paint: Paint;
  #waiting = false;
  #rest = 0;
  #settled: (() => void)[] = [];

  constructor(paint: Paint) {
    this.#paint = paint;
  }

  /** Paints before long. */
  soon(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    const frame = (): void => void requestAnimationFrame(() => this.#now());
    if (this.#rest > LONG_MS) setTimeout(frame, this.#rest);
    else frame();
  }

  /** Resolves when nothing is left to be painted. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled.push(resolve);
      this.soon();
    });
  }

  #now(): void {
    this.#waiting = false;
    const begun = performance.now();
    const left = this.#paint();
    this.#rest = performance.now() - begun;
    if (left) {
      this.soon();
      return;
    }
    const settled = this.#settled;
    this.#settled = [];
    for (const tell of settled) tell();
  }
}
