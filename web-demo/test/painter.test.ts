// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Painter } from "../src/page/painter";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const FRAME_MS = 16;

describe("the page", () => {
  it("is painted once per frame, however much changes", () => {
    const paint = vi.fn(() => false);
    const painter = new Painter(paint);
    for (let frame = 1; frame <= 3; frame++) {
      for (let token = 0; token < 100; token++) painter.soon();
      vi.advanceTimersByTime(FRAME_MS);
      expect(paint).toHaveBeenCalledTimes(frame);
    }
  });

  it("is painted until nothing is left", () => {
    let left = 3;
    const painter = new Painter(() => --left > 0);
    painter.soon();
    vi.advanceTimersByTime(10 * FRAME_MS);
    expect(left).toBe(0);
  });

  it("rests as long as it took to paint, when that was long", () => {
    const paint = vi.fn(() => {
      vi.setSystemTime(Date.now() + 500);
      vi.advanceTimersByTime(500);
      return true;
    });
    const painter = new Painter(paint);
    painter.soon();
    vi.advanceTimersByTime(FRAME_MS);
    expect(paint).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(499);
    expect(paint).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1 + FRAME_MS);
    expect(paint).toHaveBeenCalledTimes(2);
  });
});
