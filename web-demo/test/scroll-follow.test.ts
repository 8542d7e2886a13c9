// @vitest-environment jsdom
/** What follows the newest text, and what parks; the browser's part is tried in `e2e/`. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ScrollFollow } from "../src/page/scroll-follow";

const PAGE = 500;

let follow: ScrollFollow;
let log: HTMLElement;
let height: number;
let seen: number;
let top: number;

beforeEach(() => {
  vi.useFakeTimers();
  globalThis.ResizeObserver = class {
    observe(): void {}
    unobserve(): void {}
    disconnect(): void {}
  };
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  log = document.getElementById("log") as HTMLElement;
  document.getElementById("messages")?.append(document.createElement("article"));
  height = 1_000;
  seen = PAGE;
  top = 0;
  const clamp = (wanted: number): number => Math.max(0, Math.min(wanted, height - seen));
  Object.defineProperties(log, {
    scrollHeight: { get: () => height },
    clientHeight: { get: () => seen },
    // A browser keeps within bounds, also when these change.
    scrollTop: {
      get: () => {
        top = clamp(top);
        return top;
      },
      set: (wanted: number) => {
        top = clamp(wanted);
      },
    },
  });
  follow = new ScrollFollow();
  grow(0);
});

afterEach(() => {
  vi.useRealTimers();
});

/** More text comes. */
const grow = (by: number): void =>
  follow.around(() => {
    height += by;
  });

/** The reader moves, and the browser tells of it. */
function scroll(by: number): void {
  log.scrollTop += by;
  log.dispatchEvent(new Event("scroll"));
}

const atEnd = (): boolean => log.scrollTop === height - seen;
const jump = (): boolean => document.getElementById("jump")?.hidden === false;

describe("a reader at the end", () => {
  it("is kept there", () => {
    for (let token = 0; token < 5; token++) grow(24);
    expect(atEnd()).toBe(true);
    expect(jump()).toBe(false);
  });

  it("who opens something is left with it, and is kept at the end again when it is closed", () => {
    const message = document.querySelector("#messages > article");
    const toggle = (by: number): void => {
      height += by;
      message?.dispatchEvent(new Event("toggle"));
    };
    toggle(300);
    const there = log.scrollTop;
    for (let token = 0; token < 5; token++) grow(24);
    expect(log.scrollTop).toBe(there);
    expect(jump()).toBe(true);
    toggle(-420);
    grow(24);
    expect(atEnd()).toBe(true);
    toggle(0);
    expect(jump()).toBe(false);
  });

  it.each([1, 3, 30, 400])("who moves up by %i px is left there", (by) => {
    scroll(-by);
    const there = log.scrollTop;
    for (let token = 0; token < 5; token++) grow(24);
    expect(log.scrollTop).toBe(there);
    expect(jump()).toBe(true);
  });

  it("who moves up is left there also when no event has told of it yet", () => {
    log.scrollTop -= 3;
    const there = log.scrollTop;
    grow(24);
    expect(log.scrollTop).toBe(there);
  });

  it("has not moved when the conversation became shorter, or its window smaller", () => {
    grow(-200);
    log.dispatchEvent(new Event("scroll"));
    grow(24);
    expect(atEnd()).toBe(true);
    seen -= 100;
    follow.follow();
    expect(atEnd()).toBe(true);
    seen += 100;
    log.dispatchEvent(new Event("scroll"));
    grow(24);
    expect(atEnd()).toBe(true);
    expect(jump()).toBe(false);
  });
});

describe("a reader who moved up", () => {
  beforeEach(() => scroll(-100));

  it("is followed again from the end on, and not before", () => {
    scroll(60);
    grow(24);
    expect(atEnd()).toBe(false);
    scroll(10_000);
    grow(24);
    expect(atEnd()).toBe(true);
    expect(jump()).toBe(false);
  });

  it("is followed again from where the end was when they set off", () => {
    grow(500);
    for (let look = 0; look < 2; look++) {
      vi.advanceTimersByTime(600);
      grow(0);
    }
    const end = height - seen;
    while (log.scrollTop < end - 10) {
      scroll(10);
      grow(24);
    }
    expect(jump()).toBe(true);
    scroll(10);
    grow(24);
    expect(atEnd()).toBe(true);
  });

  it("comes back by the button, and by asking", () => {
    document.getElementById("jump")?.click();
    grow(24);
    expect(atEnd()).toBe(true);
    scroll(-100);
    follow.toNewest();
    grow(24);
    expect(atEnd()).toBe(true);
  });

  it("stays where they read when earlier messages come in above", () => {
    const messages = document.getElementById("messages");
    const before = height - log.scrollTop;
    const message = messages?.firstElementChild as HTMLElement;
    let above = 0;
    message.getBoundingClientRect = () => new DOMRect(0, above - log.scrollTop, 100, 2_000);
    follow.around(() => {
      messages?.prepend(document.createElement("article"));
      above = 700;
      height += above;
    });
    expect(height - log.scrollTop).toBe(before);
    const there = log.scrollTop;
    grow(24);
    expect(log.scrollTop).toBe(there);
  });
});

describe("a reader of an empty conversation", () => {
  const begin = (): void => follow.around(() => document.querySelector("#messages > *")?.remove());

  it("begins at its top, and then reads in their own time", () => {
    scroll(-30);
    begin();
    expect(log.scrollTop).toBe(0);
    scroll(200);
    grow(24);
    expect(log.scrollTop).toBe(200);
    expect(jump()).toBe(false);
  });

  it("is at the end with the first message", () => {
    begin();
    scroll(200);
    follow.around(() => {
      document.getElementById("messages")?.append(document.createElement("article"));
      height += 500;
    });
    expect(atEnd()).toBe(true);
  });
});
