/** Files on their way: how many at a time, what is sent again, what is given up. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Problem } from "../src/documents/problem";
import { MAX_WAITING, type Send, Uploads } from "../src/documents/uploads";
import type { Accepted } from "../src/documents/wire";

interface Sent {
  name: string;
  id: string;
  progress: (sent: number) => void;
  signal: AbortSignal;
  end: (accepted?: Partial<Accepted>) => Promise<void>;
  fail: (problem: Problem) => Promise<void>;
}

let sent: Sent[];
let accepted: string[];
let refused: string[];
let uploads: Uploads;

const file = (name: string) => new File(["text"], name);
const states = () => uploads.list.map(({ state }) => state.name);
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  [sent, accepted, refused] = [[], [], []];
  const send: Send = (upload, progress, signal) =>
    new Promise((resolve, reject) => {
      sent.push({
        name: upload.file.name,
        id: upload.id,
        progress,
        signal,
        end: async (given = {}) => {
          resolve({ document: `d_${upload.file.name}`, version: 1, ...given });
          await settle();
        },
        fail: async (problem) => {
          reject(problem);
          await settle();
        },
      });
      signal.addEventListener("abort", () => reject(new Problem(0, "aborted", "cancelled")));
    });
  uploads = new Uploads(send, {
    changed: () => {},
    accepted: (_, { document }) => accepted.push(document),
    refused: ({ name }) => refused.push(name),
  });
});

afterEach(() => {
  vi.useRealTimers();
});

const add = (...names: string[]) =>
  uploads.add(
    names.map((name) => ({ file: file(name) })),
    "default",
  );

describe("files on their way", () => {
  it("go two at a time, in their order, and are documents when they have arrived", async () => {
    add("a", "b", "c");
    expect(sent.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(states()).toEqual(["sending", "sending", "waiting"]);
    sent[0]?.progress(3);
    expect(uploads.list[0]?.state).toEqual({ name: "sending", sent: 3 });
    await sent[0]?.end();
    expect(accepted).toEqual(["d_a"]);
    expect(sent.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    await sent[1]?.end();
    await sent[2]?.end({ unchanged: true });
    expect(states()).toEqual(["unchanged"]);
    expect(uploads.busy).toBe(false);
    uploads.dropEnded();
    expect(uploads.list).toEqual([]);
  });

  it("are sent again when they were cut off, as the same request", async () => {
    add("a");
    await sent[0]?.fail(new Problem(0, "broken", "the connection broke off"));
    expect(uploads.list[0]?.state).toEqual({ name: "again", reason: "The connection broke off." });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(sent).toHaveLength(2);
    expect(sent[1]?.id).toBe(sent[0]?.id);
    await sent[1]?.end();
    expect(accepted).toEqual(["d_a"]);
  });

  it("wait as long as the gateway says, or until it can be reached again", async () => {
    add("a");
    await sent[0]?.fail(new Problem(503, "busy", "too many documents are coming in", 9_000));
    await vi.advanceTimersByTimeAsync(8_999);
    expect(sent).toHaveLength(1);
    uploads.wake();
    expect(sent).toHaveLength(2);
  });

  it("are given up after four attempts, and can be tried again by hand", async () => {
    add("a");
    for (let attempt = 0; attempt < 4; attempt++) {
      await sent[attempt]?.fail(new Problem(0, "broken", "the connection broke off"));
      await vi.advanceTimersByTimeAsync(60_000);
    }
    expect(sent).toHaveLength(4);
    expect(uploads.list[0]?.state).toMatchObject({ name: "failed", mendable: true });
    expect(refused).toEqual(["a"]);
    const [transfer] = uploads.list;
    if (transfer) uploads.retry(transfer);
    await sent[4]?.end();
    expect(uploads.list).toEqual([]);
  });

  it("say why they were refused, and are not sent again", async () => {
    add("a");
    await sent[0]?.fail(
      new Problem(415, "type_mismatch", "this is a PDF, and its name says .docx"),
    );
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(1);
    expect(uploads.list[0]?.state).toEqual({
      name: "failed",
      reason: "This is a PDF, and its name says .docx.",
      mendable: false,
    });
  });

  it("can be tried again when something else is mended than the file", async () => {
    add("a");
    await sent[0]?.fail(
      new Problem(429, "too_many", "there are as many documents as there may be"),
    );
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(1);
    expect(uploads.list[0]?.state).toMatchObject({ name: "failed", mendable: true });
  });

  it("make room for the next one when they are cancelled", async () => {
    add("a", "b", "c");
    const [first, , third] = uploads.list;
    if (third) uploads.drop(third);
    if (first) uploads.drop(first);
    await settle();
    expect(sent[0]?.signal.aborted).toBe(true);
    expect(uploads.list.map(({ name }) => name)).toEqual(["b"]);
    add("d");
    expect(sent.map(({ name }) => name)).toEqual(["a", "b", "d"]);
  });

  it("are a bounded number", () => {
    const many = Array.from({ length: MAX_WAITING + 5 }, (_, at) => ({ file: file(`${at}`) }));
    expect(uploads.add(many, "default")).toBe(MAX_WAITING);
    expect(add("one more")).toBe(0);
  });
});
