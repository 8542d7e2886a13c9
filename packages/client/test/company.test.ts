import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TypingSignal } from "../src/typing-signal.js";
import { connected, gateway, newClient, until } from "./client-at-gateway.js";

describe("a second viewer", () => {
  it("is counted while it is there", async () => {
    const first = await connected(newClient());
    expect(first.conversation.presence).toEqual({ viewers: 1, typing: false });
    const second = await connected(newClient({ session: first.session ?? "" }));
    await until(first, () => first.conversation.presence.viewers === 2);
    await until(second, () => second.conversation.presence.viewers === 2);
    second.close();
    expect(second.conversation.presence.viewers).toBe(1);
    await until(first, () => first.conversation.presence.viewers === 1);
  });

  it("sees that the first one writes, until the message is sent", async () => {
    const first = await connected(newClient());
    const second = await connected(newClient({ session: first.session ?? "" }));
    const seen = (typing: boolean) =>
      until(second, () => second.conversation.presence.typing === typing);
    first.typing();
    await seen(true);
    expect(first.conversation.presence.typing).toBe(false);
    first.send("Why?");
    await seen(false);
    first.typing();
    await seen(true);
    first.typing(false);
    await seen(false);
    expect(gateway.heard.filter(({ type }) => type === "typing")).toHaveLength(4);
  });
});

describe("the typing signal", () => {
  let told: boolean[];
  let connectedNow: boolean;
  let signal: TypingSignal;

  beforeEach(() => {
    vi.useFakeTimers();
    told = [];
    connectedNow = true;
    signal = new TypingSignal((on) => {
      if (connectedNow) told.push(on);
      return connectedNow;
    });
  });
  afterEach(() => vi.useRealTimers());

  it("is given every few seconds, not with every key", () => {
    for (let ms = 0; ms < 6_500; ms += 100) {
      signal.key();
      vi.advanceTimersByTime(100);
    }
    expect(told).toEqual([true, true, true]);
  });

  it("ends after a pause, once", () => {
    signal.key();
    vi.advanceTimersByTime(4_999);
    expect(told).toEqual([true]);
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual([true, false]);
    signal.rest();
    expect(told).toEqual([true, false]);
  });

  it("that could not be given is given with the next key", () => {
    connectedNow = false;
    signal.key();
    connectedNow = true;
    signal.key();
    expect(told).toEqual([true]);
  });

  it("is given anew over the next socket", () => {
    signal.key();
    signal.forget();
    vi.advanceTimersByTime(60_000);
    signal.key();
    expect(told).toEqual([true, true]);
  });
});
