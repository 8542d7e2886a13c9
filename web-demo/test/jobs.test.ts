/** How jobs are followed: few at a time, none hidden by a silent one. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Followers } from "../src/documents/followers";
import { EventLines } from "../src/documents/job-events";
import { Problem } from "../src/documents/problem";

describe("events", () => {
  const stream =
    ': still here\nid: 1\ndata: {"a":1}\n\ndata: one\ndata:two\r\n\r\n: x\n\nid: 3\n\n';

  it("are found wherever the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length)), (places) => {
        const lines = new EventLines();
        const edges = [0, ...places.sort((a, b) => a - b), stream.length];
        const pieces = edges.slice(1).map((end, at) => stream.slice(edges[at], end));
        const events = pieces.flatMap((piece) => lines.feed(piece));
        expect(events).toEqual(['{"a":1}', "one\ntwo"]);
      }),
    );
  });
});

describe("the followers of jobs", () => {
  interface Followed {
    job: string;
    signal: AbortSignal;
    end: (over: boolean) => Promise<void>;
    fail: (problem: Problem) => Promise<void>;
  }
  let followed: Followed[];
  let followers: Followers;
  const settle = () => vi.advanceTimersByTimeAsync(0);

  beforeEach(() => {
    vi.useFakeTimers();
    followed = [];
    followers = new Followers(
      (job, signal) =>
        new Promise((resolve, reject) => {
          const end = async (over: boolean) => {
            resolve(over);
            await settle();
          };
          const fail = async (problem: Problem) => {
            reject(problem);
            await settle();
          };
          followed.push({ job, signal, end, fail });
          signal.addEventListener("abort", () => resolve(false));
        }),
    );
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const jobs = () => followed.map(({ job }) => job);

  it("follow two at a time, each once", async () => {
    for (const job of ["a", "b", "c", "a"]) followers.watch(job);
    expect(jobs()).toEqual(["a", "b"]);
    await followed[0]?.end(true);
    expect(jobs()).toEqual(["a", "b", "c"]);
    await followed[1]?.end(true);
    await followed[2]?.end(true);
    expect(followers.count).toBe(0);
  });

  it("come back to a silent one when the others had their turn", async () => {
    for (const job of ["a", "b", "c"]) followers.watch(job);
    await vi.advanceTimersByTimeAsync(5_000);
    await followed[0]?.end(false);
    expect(jobs()).toEqual(["a", "b", "c"]);
    await followed[1]?.end(true);
    expect(jobs()).toEqual(["a", "b", "c", "a"]);
  });

  it("rest while the gateway cannot be reached, and forget what is not there", async () => {
    followers.watch("a");
    await followed[0]?.fail(new Problem(0, "unreachable", "gone"));
    expect(jobs()).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(jobs()).toEqual(["a", "a"]);
    await followed[1]?.fail(new Problem(404, "not_found", "no such job"));
    expect(followers.count).toBe(0);
  });

  it("do not run in circles when every stream ends at once", async () => {
    followers.watch("a");
    await followed[0]?.end(false);
    expect(jobs()).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(jobs()).toEqual(["a", "a"]);
  });

  it("let go of a job whose document is deleted", async () => {
    for (const job of ["a", "b", "c"]) followers.watch(job);
    followers.forget("c");
    followers.forget("a");
    await settle();
    expect(followed[0]?.signal.aborted).toBe(true);
    expect(followers.count).toBe(1);
  });
});
