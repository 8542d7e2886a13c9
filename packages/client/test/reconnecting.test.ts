import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backoff, longestDelay } from "../src/backoff.js";
import { afterClose, closeMeaning } from "../src/close-codes.js";

describe("the delay before a new attempt", () => {
  it("is at most 1 s at first, then doubles up to 30 s", () => {
    const longest = [0, 1, 2, 3, 4, 5, 6, 60].map(longestDelay);
    expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it("is jittered over the whole range", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (share) => {
        const backoff = new Backoff(() => share);
        for (let attempt = 0; attempt < 12; attempt++) {
          expect(backoff.next(true)).toBe(Math.round(share * longestDelay(attempt)));
        }
      }),
    );
  });

  it("skips the quick first attempt when the server asked for room", () => {
    const backoff = new Backoff(() => 1);
    expect(backoff.next(false)).toBe(2_000);
    expect(backoff.next(true)).toBe(4_000);
  });

  it("starts anew only after a calm minute", () => {
    const backoff = new Backoff(() => 1);
    backoff.next(true);
    backoff.next(true);
    backoff.connectionLasted(59_999);
    expect(backoff.attempt).toBe(2);
    backoff.connectionLasted(60_000);
    expect(backoff.attempt).toBe(0);
  });
});

describe("close codes", () => {
  it.each([
    [1000, "stop"],
    [1001, "as-announced"],
    [1002, "terminal"],
    [1003, "terminal"],
    [1005, "soon"],
    [1006, "soon"],
    [1007, "without-it"],
    [1009, "without-it"],
    [1011, "backoff"],
    [1012, "soon"],
    [1013, "backoff"],
    [4001, "terminal"],
    [4003, "terminal"],
    [4004, "terminal"],
    [4010, "terminal"],
    [4099, "terminal"],
    [4100, "backoff"],
    [4108, "backoff"],
    [4111, "backoff"],
    [4129, "backoff"],
    [4200, "soon"],
    [4201, "soon"],
    [4203, "soon"],
    [4204, "soon"],
    [4999, "backoff"],
  ])("%i asks to %s", (code, expected) => {
    expect(afterClose(code)).toBe(expected);
  });

  it("have a meaning in words, or the server's reason, or at least the number", () => {
    expect(closeMeaning(4001)).toBe("Not signed in");
    expect(closeMeaning(4567, "tea time")).toBe("tea time");
    expect(closeMeaning(4567)).toBe("Connection closed (4567)");
  });
});
