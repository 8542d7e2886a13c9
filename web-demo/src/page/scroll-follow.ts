/** Keeps the newest text in sight, but only for a reader who is at the end already. */
import { byId } from "./element";

const NEAR_PX = 64;

export class ScrollFollow {
  readonly #log = byId("log");
  readonly #jump = byId("jump");
  #following = true;

  constructor() {
    this.#log.addEventListener("scroll", () => this.#look(), { passive: true });
    this.#jump.addEventListener("click", () => {
      this.toNewest();
      byId("composer-text").focus();
    });
  }

  /** After each paint. */
  follow(): void {
    if (this.#following) this.#log.scrollTop = this.#log.scrollHeight;
    this.#look();
  }

  toNewest(): void {
    this.#following = true;
    this.follow();
  }

  #look(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    this.#jump.hidden = this.#following;
  }
}
