/**
 * Which jobs are watched: few at a time, for a browser has few connections to one host. Who is silent for a
 * while goes to the end of the line, so a job that waits long hides no other.
 */
import { Problem } from "./problem";

/** Resolves with whether the job is over; rejects with a `Problem`. */
export type Follow = (job: string, signal: AbortSignal) => Promise<boolean>;

/** As many as the gateway works on at the same time. */
const AT_ONCE = 2;
const REST_MS = 1_000;
const LONGEST_REST_MS = 30_000;

export class Followers {
  readonly #follow: Follow;
  readonly #line: string[] = [];
  readonly #active = new Map<string, AbortController>();
  #failures = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor(follow: Follow) {
    this.#follow = follow;
  }

  /** Jobs that are not over yet. */
  get count(): number {
    return this.#line.length + this.#active.size;
  }

  watch(job: string): void {
    if (this.#active.has(job) || this.#line.includes(job)) return;
    this.#line.push(job);
    this.#next();
  }

  forget(job: string): void {
    const at = this.#line.indexOf(job);
    if (at >= 0) this.#line.splice(at, 1);
    this.#active.get(job)?.abort();
  }

  /** The gateway can be reached again, as far as is known. */
  wake(): void {
    clearTimeout(this.#rest);
    this.#rest = undefined;
    this.#next();
  }

  #next(): void {
    while (this.#rest === undefined && this.#active.size < AT_ONCE) {
      const job = this.#line.shift();
      if (job === undefined) return;
      const ended = new AbortController();
      this.#active.set(job, ended);
      void this.#run(job, ended.signal);
    }
  }

  async #run(job: string, signal: AbortSignal): Promise<void> {
    const begun = performance.now();
    let over = true;
    try {
      over = await this.#follow(job, signal);
      // A gateway that goes away ends every stream as soon as it is open.
      if (over || performance.now() - begun > REST_MS) this.#failures = 0;
      else this.#pause();
    } catch (error) {
      // One that is not there any more has nothing to tell; of the others there is news later.
      over = error instanceof Problem && error.status === 404;
      if (!over) this.#pause();
    }
    this.#active.delete(job);
    if (!over && !signal.aborted) this.#line.push(job);
    this.#next();
  }

  #pause(): void {
    const rest = Math.min(REST_MS * 2 ** this.#failures++, LONGEST_REST_MS);
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.wake(), rest);
  }
}
