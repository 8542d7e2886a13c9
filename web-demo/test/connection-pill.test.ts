import { describe, expect, it } from "vitest";
import { lookOf } from "../src/page/connection-pill";

describe("what the user sees of the connection", () => {
  const calm = { online: true, again: false, resumed: false, now: 10_000 };
  const waiting = {
    name: "reconnecting",
    attempt: 2,
    retryAt: 12_100,
    announced: false,
    why: "Connection lost",
  } as const;

  it.each([
    [{ name: "idle" }, {}, "connecting", "Connecting", ""],
    [{ name: "connecting" }, {}, "connecting", "Connecting", ""],
    [{ name: "connecting" }, { again: true }, "reconnecting", "Reconnecting", "now"],
    [{ name: "connected", leaving: false }, {}, "live", "Live", ""],
    [{ name: "connected", leaving: false }, { resumed: true }, "resumed", "Resumed", ""],
    [{ name: "connected", leaving: true }, { resumed: true }, "leaving", "Going away", ""],
    [waiting, {}, "reconnecting", "Reconnecting", "in 3 s"],
    [waiting, { now: 13_000 }, "reconnecting", "Reconnecting", "in 0 s"],
    [waiting, { online: false }, "offline", "Offline", ""],
    [{ name: "connected", leaving: false }, { online: false }, "offline", "Offline", ""],
    [{ name: "closed", code: 1000, why: "Closed" }, {}, "ended", "Ended", ""],
    [{ name: "closed", code: 4010, why: "Gone" }, { online: false }, "ended", "Gone", ""],
  ] as const)("%j, %j is %s", (state, circumstances, kind, label, detail) => {
    expect(lookOf(state, { ...calm, ...circumstances })).toEqual({ kind, label, detail });
  });
});
