// @vitest-environment jsdom
/** What the page says of answers that have to wait, are refused, or were written before. */
import { readFileSync } from "node:fs";
import type { RivuletClient } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  ask,
  checkedAnswer,
  connected,
  gateway,
  newClient,
  until,
} from "../../packages/client/test/client-at-gateway.js";
import { Announcer } from "../src/page/announcer";
import { Composer } from "../src/page/composer";
import { Notices } from "../src/page/notices";
import { StatusVoice } from "../src/page/status-voice";
import { Transcript } from "../src/page/transcript";
import { TurnVoice } from "../src/page/turn-voice";
import { whenText } from "../src/page/when";

const text = (selector: string) => document.querySelector(selector)?.textContent ?? "";
const isShown = (selector: string) =>
  document.querySelector<HTMLElement>(selector)?.hidden === false;

beforeEach(() => {
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
});

afterEach(() => {
  vi.useRealTimers();
});

async function page(): Promise<RivuletClient> {
  const client = newClient();
  const transcript = new Transcript(client, {
    asked: () => {},
    homeless: () => {},
    openSource: () => {},
  });
  client.on("change", () => transcript.paint());
  return connected(client);
}

describe("an answer in line", () => {
  it("says its place, and no more once it is its turn", async () => {
    const client = await page();
    const answer = await ask(client);
    for (const [position, words] of [
      [3, "Waiting for its turn: 2 before this one"],
      [1, "Next in line"],
      [undefined, "Waiting for its turn"],
    ] as const) {
      answer.phase("queued", position);
      await until(client, () => text(".phase") === words);
    }
    answer.phase("retrieving");
    await until(client, () => text(".phase") === "Searching the knowledge");
    answer.write("Because");
    await until(client, () => !isShown(".phase"));
  });

  it("says so below its text, when it waits in the middle", async () => {
    const client = await page();
    const answer = await ask(client);
    answer.write("Bec");
    answer.phase("queued", 1);
    await until(client, () => isShown(".phase") && text(".phase") === "Next in line");
    expect(text(".markdown").trim()).toBe("Bec");
    answer.write("ause");
    await until(client, () => !isShown(".phase"));
  });

  it("is announced as being written when it is, not before", async () => {
    const client = newClient();
    new Announcer(client);
    await connected(client);
    const answer = await ask(client);
    answer.phase("queued", 2);
    await until(client, () => client.conversation.runs.get(answer.run)?.position === 2);
    expect(text("#announcer")).toBe("");
    answer.phase("retrieving");
    await until(client, () => text("#announcer") === "The answer is being written.");
  });
});

describe("the voice of the line", () => {
  /** Plays phases and silences to a voice whose words are noted. */
  async function heard(story: (readonly [string, number?] | number)[]): Promise<string[]> {
    const client = newClient();
    new TurnVoice(client, new StatusVoice());
    await connected(client);
    const answer = await ask(client);
    await until(client, () => client.conversation.runs.has(answer.run));
    const words: string[] = [];
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    for (const step of story) {
      if (typeof step === "number") {
        vi.advanceTimersByTime(step);
        const said = text("#status");
        if (said !== words.at(-1)) words.push(said);
        continue;
      }
      const [phase, position] = step;
      const told = new Promise((resolve) => client.on("run.phase", resolve));
      answer.phase(phase, position);
      await told;
      // The frame is an event first, and a change after it.
      await Promise.resolve();
    }
    return words;
  }

  it("says the place at first, and then only that it is next", async () => {
    const steps = [["queued", 4], 1_000, ["queued", 3], 5_000, ["queued", 2], 5_000] as const;
    expect(await heard([...steps, ["queued", 1], 1_000, ["retrieving"], 5_000])).toEqual([
      "The answer waits for its turn: 3 before it.",
      "The answer is next in line.",
    ]);
  });

  it("says the newest place, when it changes before it was said", async () => {
    expect(await heard([["queued", 4], 500, ["queued", 3], 1_000])).toEqual([
      "",
      "The answer waits for its turn: 2 before it.",
    ]);
  });

  it("says nothing of a wait that is over within a second", async () => {
    expect(await heard([["queued", 4], 900, ["waiting"], 5_000])).toEqual([""]);
  });
});

describe("the end of an answer", () => {
  it("by a spent budget keeps the text and says why it ends there", async () => {
    const client = await page();
    const answer = await ask(client);
    const error = { code: "budget_exhausted", message: "the budget of tokens is spent" };
    answer.write("Because");
    answer.done("incomplete", { error });
    await checkedAnswer(client);
    expect(text(".markdown")).toContain("Because");
    expect(text(".note")).toContain("The budget for answers was used up here.");
    expect(text(".note")).not.toContain("The model");
  });

  it("by a spent budget before its beginning says that, too", async () => {
    const client = await page();
    (await ask(client)).done("error", { error: { code: "budget_exhausted" } });
    await checkedAnswer(client);
    expect(text(".note")).toContain("not enough for this answer");
  });

  it("names who wrote it, and the cache only where it comes from there", async () => {
    const client = await page();
    (await ask(client)).done("complete", { model: "large" });
    await checkedAnswer(client);
    expect(text(".facts")).toMatch(/^large · /);
    expect(isShown(".cached")).toBe(false);
    client.newSession();
    await until(client, () => client.conversation.messages.length === 0);
    await until(client, () => client.state.name === "connected");
    (await ask(client)).done("complete", { cached: true });
    await checkedAnswer(client);
    expect(text(".facts")).toMatch(/^test-model · /);
    expect(isShown(".cached")).toBe(true);
    expect(text(".cached")).toMatch(/^from the cache: .+/);
  });
});

describe("a refused question", () => {
  const notices = () => [...document.querySelectorAll(".notice p")].map((p) => p.textContent);

  it("is back in its box, and the notice says until when", async () => {
    const client = newClient();
    const composer = new Composer(client, () => {});
    const place = new Notices();
    client.on("refused", ({ frame }) => frame.type === "send" && composer.restore(frame.text));
    client.on("error", (error) => place.error(error));
    gateway.intercept = ({ type, id: re }, socket) => {
      if (type !== "send") return false;
      const spent = { type: "error", re, code: "budget_exhausted", message: "spent" };
      socket.send(JSON.stringify({ ...spent, retryable: true, retry_in_ms: 170_000 }));
      return true;
    };
    await connected(client);
    composer.ask("Why?");
    await until(client, () => notices().length > 0);
    expect(notices()).toEqual([
      "The budget for answers is used up for now. Try again in 3 minutes.",
    ]);
    expect(document.querySelector<HTMLTextAreaElement>("#composer-text")?.value).toBe("Why?");
  });

  it("is told once, however often it is tried, and as long as it is of use", () => {
    vi.useFakeTimers();
    const place = new Notices();
    const spent = { type: "error", code: "budget_exhausted", message: "spent" } as const;
    place.error({ ...spent, retry_in_ms: 20_000 });
    place.error({ ...spent, retry_in_ms: 20_000 });
    place.error({ type: "error", code: "queue_full", message: "full" });
    expect(notices()).toEqual([
      "The budget for answers is used up for now. Try again in a minute.",
      "Too many questions are waiting for their answers. Try again a little later.",
    ]);
    vi.advanceTimersByTime(19_999);
    expect(notices()).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(notices()).toEqual([]);
    place.error({ ...spent, retry_in_ms: 86_400_000 });
    vi.advanceTimersByTime(60_000);
    expect(notices()).toEqual([]);
  });
});

describe("when to try again", () => {
  const MINUTE = 60_000;
  const HOUR = 60 * MINUTE;
  const afternoon = new Date(2026, 10, 20, 14, 30);

  it.each([
    [1, "in a few seconds"],
    [10_001, "in a minute"],
    [MINUTE, "in a minute"],
    [MINUTE + 1, "in 2 minutes"],
    [90 * MINUTE, "in 90 minutes"],
    [48 * HOUR, "in 2 days"],
  ])("%d ms is said as %s", (wait, words) => {
    expect(whenText(wait, afternoon)).toBe(words);
  });

  it("is a time of the day, when that is far", () => {
    expect(whenText(3 * HOUR, afternoon)).toMatch(/^in about 3 hours, at (0?5:30|17:30)/);
    // A little before midnight is midnight: the gateway's clock was read a moment ago.
    for (const late of [0, 200])
      expect(whenText(9.5 * HOUR - late, afternoon)).toMatch(/^tomorrow at (12:00|00:00|24:00)/);
    expect(whenText(10.5 * HOUR, afternoon)).toMatch(/^tomorrow at 0?1:00/);
  });
});
