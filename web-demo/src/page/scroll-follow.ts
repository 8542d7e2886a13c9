/** Keeps the newest text in sight, but only for a reader who is at the end already. */
import { byId } from "./element";

const NEAR_PX = 64;

export class ScrollFollow {
  readonly #log = byId("log");
  readonly #jump = byId("jump");
  readonly #messages = byId("messages");
  #following = true;

  constructor() {
    this.#log.addEventListener("scroll", () => this.#look(), { passive: true });
    // The message box grows at the expense of the conversation.
    new ResizeObserver(() => this.follow()).observe(this.#log);
    this.#jump.addEventListener("click", () => {
      this.toNewest();
      byId("composer-text").focus();
    });
  }

  /** Paints, and then shows the end, or what was in sight before. */
  around(paint: () => void): void {
    const { scrollHeight, scrollTop } = this.#log;
    const first = this.#messages.firstElementChild;
    paint();
    // What comes in at the top pushes down what is being read.
    const pushed = first?.isConnected && first !== this.#messages.firstElementChild;
    if (pushed) this.#log.scrollTop = scrollTop + this.#log.scrollHeight - scrollHeight;
    else this.follow();
  }

  follow(): void {
    if (this.#following) this.#log.scrollTop = this.#isEmpty() ? 0 : this.#log.scrollHeight;
    this.#look();
  }

  toNewest(): void {
    this.#following = true;
    this.follow();
  }

  #look(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    // The suggestions of an empty conversation are read from the top, and lead to its first message.
    this.#following = atEnd || this.#isEmpty();
    this.#jump.hidden = this.#following;
  }

  #isEmpty(): boolean {
    return this.#messages.childElementCount === 0;
  }
}
