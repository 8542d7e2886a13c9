/**
 * Keeps the newest text in sight until the reader moves up, however little and by whatever means; who comes
 * back to the end is kept there again. What the page itself moves is no word of the reader's.
 */
import { byId } from "./element";
import { ScrollAim } from "./scroll-aim";

/** As near to the end as a reader can be: positions are fractions of pixels on some screens. */
const END_PX = 2;
/** A move that is smaller is rounding. */
const MOVE_PX = 0.5;

export class ScrollFollow {
  readonly #log = byId("log");
  readonly #jump = byId("jump");
  readonly #messages = byId("messages");
  #following = true;
  /** Where the conversation stood when it was looked at last, and the lowest place it could stand at. */
  #top = 0;
  #end = 0;
  readonly #aim = new ScrollAim();

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
    // A move that no event has told of yet.
    this.#look();
    const held = this.#following ? undefined : this.#inSight();
    const before = held?.getBoundingClientRect().top ?? 0;
    paint();
    // What changes above pushes what is being read.
    const pushed = held?.isConnected ? held.getBoundingClientRect().top - before : 0;
    if (Math.abs(pushed) > MOVE_PX) this.#move(this.#log.scrollTop + pushed);
    else this.follow();
  }

  follow(): void {
    this.#look();
    if (this.#following) this.#move(this.#isEmpty() ? 0 : this.#log.scrollHeight);
  }

  toNewest(): void {
    this.#move(this.#log.scrollHeight);
    this.#set(true);
  }

  /** What was moved since the last look tells what the reader wants. */
  #look(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    const end = scrollHeight - clientHeight;
    const up = scrollTop < this.#top - MOVE_PX;
    const down = scrollTop > this.#top + MOVE_PX;
    // A conversation that became shorter than it was scrolled has moved by itself.
    const shortened = end < this.#end;
    this.#top = scrollTop;
    this.#end = end;
    this.#aim.see(end);
    const wanted = down ? Math.min(end, this.#aim.movedDown()) : end;
    const arrived = wanted - scrollTop < END_PX;
    // The suggestions of an empty conversation are read from the top, and lead to its first message.
    if (this.#isEmpty()) this.#set(true);
    else if (arrived && (down || shortened)) this.#set(true);
    else if (up) this.#set(false);
  }

  /** The first block of text that the reader sees, or the message when it has none there. */
  #inSight(): Element | undefined {
    const edge = this.#log.getBoundingClientRect().top;
    const seen = (element: Element): boolean => element.getBoundingClientRect().bottom > edge;
    const message = [...this.#messages.children].find(seen);
    return [...(message?.querySelectorAll(".markdown > div") ?? [])].find(seen) ?? message;
  }

  #move(top: number): void {
    this.#log.scrollTop = top;
    // Read back: what was asked for may lie behind the end.
    this.#top = this.#log.scrollTop;
    this.#end = this.#log.scrollHeight - this.#log.clientHeight;
  }

  #set(following: boolean): void {
    this.#following = following;
    this.#jump.hidden = following;
  }

  #isEmpty(): boolean {
    return this.#messages.childElementCount === 0;
  }
}
