// @vitest-environment jsdom
/** What the page of operators makes of numbers, and when it asks for them. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdminApi } from "../src/admin/api";
import { AuditView } from "../src/admin/audit-view";
import { hitShare } from "../src/admin/caches-view";
import { Drain } from "../src/admin/drain";
import { byDay, byModel, FeedbackView } from "../src/admin/feedback-view";
import { firstToken, History, KEPT_MS, limited, tokensPerSecond } from "../src/admin/history";
import { Poller } from "../src/admin/poller";
import { show } from "../src/admin/rows";
import { SessionsView } from "../src/admin/sessions-view";
import { areaPath, linePath } from "../src/admin/sparkline";
import type { AuditEntry, AuditPage, Session, Stats, Whole } from "../src/admin/wire";
import { amount, duration, targetState, wait } from "../src/admin/words";
import { Problem } from "../src/documents/problem";

beforeEach(() => {
  document.documentElement.innerHTML = readFileSync("admin.html", "utf8");
});

const byId = (id: string) => document.getElementById(id) as HTMLElement;

function stats(whole: Partial<Whole> | null): Stats {
  const base: Whole = {
    up_s: 1,
    sockets: 0,
    requests: 0,
    runs: { active: 0, ended: {} },
    tokens: 0,
    first_token: { count: 0, sum_s: 0 },
    limited: {},
    caches: [],
    knowledge: null,
  };
  return {
    version: "1",
    draining: false,
    tenant: whole ? null : "shop",
    documents: false,
    sessions: { in_memory: 1, watched: 1, viewers: 1, busy: 0 },
    model: { model: "m", targets: [] },
    gateway: whole && { ...base, ...whole },
  };
}

describe("what was seen", () => {
  it("comes to rates and means of what lies in between", () => {
    const history = new History();
    history.add(stats({ tokens: 100 }), 0);
    history.add(stats({ tokens: 120, first_token: { count: 2, sum_s: 1 } }), 2_000);
    history.add(stats({ tokens: 220, first_token: { count: 3, sum_s: 1.2 } }), 4_000);
    history.add(stats({ tokens: 220, first_token: { count: 3, sum_s: 1.2 } }), 6_000);
    const values = history.series(tokensPerSecond).map(({ value }) => value);
    expect(values).toEqual([10, 50, 0]);
    expect(history.over(tokensPerSecond, 4_000)).toBe(25);
    expect(history.series(firstToken).map(({ value }) => Math.round(value))).toEqual([500, 200]);
    expect(history.over(firstToken, KEPT_MS)).toBeCloseTo(400);
  });

  it("begins anew with another process, with another tenant, and forgets what is old", () => {
    const history = new History();
    history.add(stats({ up_s: 100, tokens: 1_000 }), 0);
    history.add(stats({ up_s: 2, tokens: 10 }), 2_000);
    expect(history.series(tokensPerSecond)).toEqual([]);
    history.add(stats(null), 4_000);
    history.add(stats(null), 6_000);
    expect(history.series(tokensPerSecond)).toEqual([]);
    for (let at = 8_000; at < 2 * KEPT_MS; at += 2_000) history.add(stats(null), at);
    const kept = history.series(({ stats: { sessions } }) => sessions.in_memory);
    expect(kept.length).toBeLessThanOrEqual(KEPT_MS / 2_000);
  });

  it("counts a limit that was never reached before", () => {
    const history = new History();
    history.add(stats({}), 0);
    history.add(stats({ limited: { requests: 3 } }), 2_000);
    expect(history.over(limited("requests"), KEPT_MS)).toBe(3);
  });
});

describe("the line of the last while", () => {
  it("ends at the right, and touches the top where it is highest", () => {
    const frame = { now: 10_000, spanMs: 10_000 };
    const points = [
      { at: -5, value: 100 },
      { at: 0, value: 0 },
      { at: 5_000, value: 100 },
      { at: 10_000, value: 50 },
    ];
    expect(linePath(points, frame)).toBe("M0.0 46.0L120.0 2.0L240.0 24.0");
    expect(areaPath(points, frame)).toBe("M0.0 46.0L120.0 2.0L240.0 24.0L240.0 48L0.0 48Z");
    expect(areaPath([], frame)).toBe("");
    expect(linePath([{ at: 10_000, value: 0 }], frame)).toBe("M240.0 46.0");
  });
});

describe("words", () => {
  it("are as exact as one can take in", () => {
    expect([0, 59, 61, 3_700, 90_000].map(duration)).toEqual([
      "0 s",
      "59 s",
      "1 min 1 s",
      "1 h 1 min",
      "1 d 1 h",
    ]);
    expect([0, 1.25, 12, 1_234, 45_678].map(amount)).toEqual(["0", "1.3", "12", "1,234", "46K"]);
    expect([3.21, 250.4, 1_500, 12_000].map((ms) => wait(ms).number)).toEqual([
      "3.2",
      "250",
      "1.50",
      "12",
    ]);
  });

  it("say whether a server is asked", () => {
    const target = {
      name: "a",
      model: "m",
      breaker: "closed",
      open_for_ms: null,
      failures: 0,
      last_failure: null,
      tokens_left: null,
      requests_left: null,
    } as const;
    expect(targetState(target)).toEqual({ text: "In use", mood: "good" });
    expect(targetState({ ...target, failures: 2 }).text).toBe("2 failed runs in a row");
    expect(targetState({ ...target, breaker: "probing" }).mood).toBe("warn");
    const open = targetState({ ...target, breaker: "open", open_for_ms: 61_000 });
    expect(open).toEqual({ text: "Left alone for 1 min 1 s", mood: "bad" });
  });
});

describe("rows", () => {
  it("stay the same elements while what they show changes", () => {
    const list = document.createElement("ul");
    const rows = {
      key: (item: string) => item.charAt(0),
      make: () => document.createElement("li"),
      update: (row: HTMLElement, item: string) => {
        row.textContent = item;
      },
    };
    show(list, ["a1", "b1"], rows);
    const [a, b] = list.children;
    show(list, ["c1", "b2", "a2"], rows);
    expect([...list.children].map(({ textContent }) => textContent)).toEqual(["c1", "b2", "a2"]);
    expect([list.children[1], list.children[2]]).toEqual([b, a]);
    show(list, [], rows);
    expect(list.children).toHaveLength(0);
  });
});

describe("conversations", () => {
  const session = (given: Partial<Session>): Session => ({
    session: "s_1",
    tenant: "shop",
    user: "ann",
    viewers: 1,
    unused_s: 5,
    run: null,
    ...given,
  });
  const counts = { in_memory: 3, watched: 1, viewers: 1, busy: 1 };

  it("show whose they are as text, and what goes on", () => {
    const run = { run: "r", model: "m", phase: "streaming", age_s: 3, written: 120 } as const;
    const user = "<b>ann</b>";
    new SessionsView().show({ sessions: [session({ user, run })], counts });
    expect(byId("sessions").textContent).toContain("<b>ann</b>shop");
    expect(byId("sessions").textContent).toContain("Writingm, for 3 s, 120 characters");
    expect(byId("sessions-note").textContent).toBe("and 2 more conversations in memory");
  });

  it("are nobody's where nobody has to say who they are", () => {
    new SessionsView().show({
      sessions: [session({ user: null, tenant: null, viewers: 0 })],
      counts: { ...counts, in_memory: 1 },
    });
    expect(byId("sessions").textContent).toContain("Nobody in particular");
    expect(byId("sessions").textContent).toContain("Idle");
    expect(byId("sessions-note").hidden).toBe(true);
  });
});

describe("feedback", () => {
  const feedback = [
    { day: "2026-11-26", model: "a", good: 3, bad: 1 },
    { day: "2026-11-26", model: null, good: 0, bad: 9 },
    { day: "2026-11-24", model: "a", good: 1, bad: 0 },
  ];

  it("is told by the day, also of days without any, and by the model", () => {
    const today = new Date("2026-11-26T23:59:00Z");
    expect(byDay(feedback, 3, today)).toEqual([
      { name: "2026-11-24", good: 1, bad: 0 },
      { name: "2026-11-25", good: 0, bad: 0 },
      { name: "2026-11-26", good: 3, bad: 10 },
    ]);
    expect(byModel(feedback)).toEqual([
      { name: "not known", good: 0, bad: 9 },
      { name: "a", good: 4, bad: 1 },
    ]);
    const view = new FeedbackView();
    view.show(feedback, today);
    const chart = byId("feedback-chart").querySelector("svg");
    expect(chart?.getAttribute("aria-label")).toBe("4 good answers and 10 bad ones in 30 days");
    expect(chart?.querySelectorAll("rect")).toHaveLength(3);
    view.show([], today);
    expect(byId("feedback-note").hidden).toBe(false);
    expect(byId("feedback-table").hidden).toBe(true);
  });
});

it("a cache that nobody looked into has no share", () => {
  const cache = { name: "answers", enabled: true, entries: 0, capacity: 9, passed: 5 };
  expect(hitShare({ ...cache, hits: 0, joined: 0, misses: 0 })).toBeNull();
  expect(hitShare({ ...cache, hits: 2, joined: 1, misses: 1 })).toBe(0.75);
});

describe("the audit log", () => {
  const entry = (number: number): AuditEntry => ({
    number,
    at: "2026-11-26T12:00:00Z",
    user: "root",
    action: "DELETE /documents/{id}",
    target: `/documents/d_${number}`,
  });

  const range = (from: number, to: number) =>
    Array.from({ length: from - to + 1 }, (_, i) => entry(from - i));
  const numbers = () =>
    [...byId("audit").children].map((row) =>
      Number(row.querySelector(".target")?.textContent?.slice(13)),
    );

  it("is loaded a page at a time, and what is new comes on top", async () => {
    const audit = vi.fn(
      async (_: string, before?: number): Promise<AuditPage> =>
        before === undefined
          ? { entries: range(9, 5), next: 5 }
          : { entries: range(before - 1, 1), next: null },
    );
    const view = new AuditView({ audit } as unknown as AdminApi);
    await view.refresh();
    expect(numbers()).toEqual([9, 8, 7, 6, 5]);
    byId("audit-more").click();
    await vi.waitFor(() => expect(numbers()).toHaveLength(9));
    expect(byId("audit-more").hidden).toBe(true);
    audit.mockResolvedValueOnce({ entries: range(11, 7), next: 7 });
    await view.refresh();
    expect(numbers()).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    // So much is new that there is a gap: what lies behind it goes.
    audit.mockResolvedValueOnce({ entries: range(40, 36), next: 36 });
    await view.refresh();
    expect(numbers()).toEqual([40, 39, 38, 37, 36]);
    expect(byId("audit-more").hidden).toBe(false);
  });

  it("is searched by the gateway, and what comes for other words is not shown", async () => {
    const waiting = new Map<string, (page: AuditPage) => void>();
    const audit = vi.fn(
      (words: string, _before?: number) =>
        new Promise<AuditPage>((resolve) => waiting.set(words, resolve)),
    );
    const view = new AuditView({ audit } as unknown as AdminApi);
    const all = view.refresh();
    const field = byId("audit-filter") as HTMLInputElement;
    field.value = "root d_3";
    field.dispatchEvent(new Event("input"));
    await vi.waitFor(() => expect(waiting.has("root d_3")).toBe(true));
    waiting.get("")?.({ entries: range(9, 5), next: null });
    await all;
    expect(numbers()).toEqual([]);
    // Nothing among as many as the gateway looks through at once: further back there may be.
    waiting.get("root d_3")?.({ entries: [], next: 4 });
    await vi.waitFor(() => expect(byId("audit-note").textContent).toBe("Nothing of it of late."));
    byId("audit-more").click();
    await vi.waitFor(() => expect(audit).toHaveBeenLastCalledWith("root d_3", 4));
    waiting.get("root d_3")?.({ entries: [entry(3)], next: null });
    await vi.waitFor(() => expect(numbers()).toEqual([3]));
    expect(byId("audit-more").hidden).toBe(true);
  });
});

describe("asking again and again", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    hide(false);
  });

  function hide(hidden: boolean): void {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }

  it("rests while nobody looks, and goes on at once when somebody does", async () => {
    const ask = vi.fn(async () => {});
    new Poller({ everyMs: 2_000, ask, failed: () => false }).resume();
    await vi.advanceTimersByTimeAsync(4_100);
    expect(ask).toHaveBeenCalledTimes(3);
    hide(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ask).toHaveBeenCalledTimes(3);
    hide(false);
    await vi.advanceTimersByTimeAsync(10);
    expect(ask).toHaveBeenCalledTimes(4);
  });

  it("waits as long as the gateway wants it to, and never twice at the same time", async () => {
    let answer: (error?: Error) => void = () => {};
    const ask = vi.fn(
      () =>
        new Promise<void>((resolve, reject) => {
          answer = (error) => (error ? reject(error) : resolve());
        }),
    );
    const poller = new Poller({ everyMs: 2_000, ask, failed: () => false });
    poller.resume();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(ask).toHaveBeenCalledTimes(1);
    answer(new Problem(429, "rate_limited", "too often", 20_000));
    await vi.advanceTimersByTimeAsync(19_000);
    expect(ask).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it("ends for who may not, and a refusal from before they signed in is no news", async () => {
    const refused = new Problem(401, "unauthenticated", "no");
    let answer: (error?: Error) => void = () => {};
    const ask = vi.fn(
      () =>
        new Promise<void>((resolve, reject) => {
          answer = (error) => (error ? reject(error) : resolve());
        }),
    );
    const failed = vi.fn(() => true);
    const poller = new Poller({ everyMs: 2_000, ask, failed });
    poller.resume();
    poller.resume(); // Somebody has signed in meanwhile.
    answer(refused);
    await vi.advanceTimersByTimeAsync(0);
    expect(failed).not.toHaveBeenCalled();
    expect(ask).toHaveBeenCalledTimes(2);
    answer(refused);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(failed).toHaveBeenCalledTimes(1);
    expect(ask).toHaveBeenCalledTimes(2);
  });
});

describe("a drain", () => {
  it("is offered to whom it is for, and asked for twice", async () => {
    const api = { drain: vi.fn(async () => {}) };
    const said: string[] = [];
    const drain = new Drain(api as unknown as AdminApi, (text) => said.push(text));
    const button = byId("drain") as HTMLButtonElement;
    for (const [whole, known, offered] of [
      [null, true, false],
      [{}, false, false],
      [{}, true, true],
    ] as const) {
      drain.show(stats(whole), known);
      expect(button.hidden).toBe(!offered);
    }
    button.click();
    expect(document.activeElement?.textContent).toBe("Let it run");
    (document.activeElement as HTMLElement).click();
    expect(api.drain).not.toHaveBeenCalled();
    button.click();
    byId("drain-ask").querySelector<HTMLButtonElement>(".button-bad")?.click();
    await vi.waitFor(() => expect(said).toEqual([expect.stringContaining("drains")]));
    expect(api.drain).toHaveBeenCalledTimes(1);
  });
});
