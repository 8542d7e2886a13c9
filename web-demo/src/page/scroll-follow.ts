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

/** The elements of a conversation. */
export interface Scrolled {
  /** What scrolls. */
  readonly log: HTMLElement;
  readonly messages: HTMLElement;
  /** The way back to the end. */
  readonly jump: HTMLElement;
  /** Where one writes. */
  readonly composer: HTMLElement;
}

const ofThePage = (): Scrolled => ({
  log: byId("log"),
  messages: byId("messages"),
  jump: byId("jump"),
  composer: byId("composer-text"),
});

export class ScrollFollow {
  readonly #log: HTMLElement;
  readonly #jump: HTMLElement;
  readonly #messages: HTMLElement;
  #following = true;
  /** Whether there was no message when the end was shown last. */
  #empty = true;
  /** Where the conversation stood when it was looked at last, and the lowest place it could stand at. */
  #top = 0;
  #end = 0;
  readonly #aim = new ScrollAim();
  /** What a parked reader sees first, and where; until they move. */
  #held: { readonly block: Element; readonly top: number } | null = null;

  constructor({ log, messages, jump, composer } = ofThePage()) {
    this.#log = log;
    this.#messages = messages;
    this.#jump = jump;
    this.#log.addEventListener("scroll", () => this.#look(), { passive: true });
    // The message box grows at the expense of the conversation.
    new ResizeObserver(() => this.follow()).observe(this.#log);
    // It does not bubble.
    this.#messages.addEventListener("toggle", () => this.#unfolded(), { capture: true });
    this.#jump.addEventListener("click", () => {
      this.toNewest();
      composer.focus();
    });
  }

  /** Paints, and then shows the end, or what was in sight before. */
  around(paint: () => void): void {
    // A move that no event has told of yet.
    this.#look();
    const held = this.#following ? null : this.#hold();
    paint();
    // What changes above pushes what is being read. Held to where it first was: no rounding adds up.
    const pushed = held?.block.isConnected ? topOf(held.block) - held.top : 0;
    if (Math.abs(pushed) > MOVE_PX) this.#move(this.#log.scrollTop + pushed);
    else this.follow();
  }

  follow(): void {
    this.#look();
    const wasEmpty = this.#empty;
    this.#empty = this.#isEmpty();
    if (!this.#following) return;
    // The start of an empty conversation is read from the top, in the reader's own time.
    if (!this.#empty) this.#move(this.#log.scrollHeight);
    else if (!wasEmpty) this.#move(0);
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
    if (up || down) this.#held = null;
    const wanted = down ? Math.min(end, this.#aim.movedDown()) : end;
    const arrived = (down || shortened) && wanted - scrollTop < END_PX;
    // From the start of an empty conversation its first message is followed.
    if (this.#isEmpty()) this.#set(true);
    else if (arrived) this.#set(true);
    else if (up) this.#set(false);
  }

  /** What the reader has opened is read where it is, also when the end is out of sight now. */
  #unfolded(): void {
    this.#look();
    this.#held = null;
    if (this.#end - this.#top >= END_PX) this.#set(false);
  }

  /** The first block of text that the reader sees, or the message when it has none there. */
  #hold(): { readonly block: Element; readonly top: number } | null {
    const edge = topOf(this.#log);
    const seen = (element: Element): boolean => element.getBoundingClientRect().bottom > edge;
    if (this.#held?.block.isConnected && seen(this.#held.block)) return this.#held;
    const message = [...this.#messages.children].find(seen);
    const blocks = [...(message?.querySelectorAll(".markdown > div") ?? [])];
    const block = blocks.find(seen) ?? message;
    this.#held = block ? { block, top: topOf(block) } : null;
    return this.#held;
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

function topOf(element: Element): number {
  return element.getBoundingClientRect().top;
}
