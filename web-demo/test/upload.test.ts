// @vitest-environment jsdom
/** One file on its way, and in whose name requests are made. */

import { Endpoint } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MAX_BYTES, send, type Upload } from "../src/documents/upload";

/** What a browser does of it; no more of it is used. */
class FakeRequest extends EventTarget {
  static made: FakeRequest[] = [];
  readonly upload = new EventTarget();
  readonly headers: Record<string, string> = {};
  method = "";
  address = "";
  form: FormData | null = null;
  status = 0;
  responseText = "";
  retryAfter: string | null = null;

  constructor() {
    super();
    FakeRequest.made.push(this);
  }
  open(method: string, address: string): void {
    Object.assign(this, { method, address });
  }
  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value;
  }
  getResponseHeader(): string | null {
    return this.retryAfter;
  }
  send(form: FormData): void {
    this.form = form;
  }
  abort(): void {
    this.over("abort");
  }
  over(how: "load" | "error" | "abort"): void {
    this.dispatchEvent(new Event(how));
    this.dispatchEvent(new Event("loadend"));
  }
  answer(status: number, body: object): void {
    Object.assign(this, { status, responseText: JSON.stringify(body) });
    this.over("load");
  }
  progress(loaded: number): void {
    this.upload.dispatchEvent(new ProgressEvent("progress", { loaded }));
  }
}

const last = () => FakeRequest.made.at(-1) as FakeRequest;
const made = (count: number) => vi.waitFor(() => expect(FakeRequest.made).toHaveLength(count));
const upload = (given: Partial<Upload> = {}): Upload => ({
  file: new File(["0123456789"], "huts.md"),
  collection: "shop",
  id: "m_1",
  ...given,
});

beforeEach(() => {
  FakeRequest.made = [];
  vi.stubGlobal("XMLHttpRequest", FakeRequest);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function sending(
  given: Partial<Upload> = {},
  endpoint = new Endpoint("http://gateway.test/below/"),
) {
  const seen: number[] = [];
  const ended = new AbortController();
  const sent = send(endpoint, upload(given), (bytes) => seen.push(bytes), ended.signal);
  // Who looks at it later is not too late.
  sent.catch(() => {});
  return { sent, seen, ended };
}

describe("a file on its way", () => {
  it("says what it is, how much of it was sent, and what became of it", async () => {
    const { sent, seen } = sending({ key: "folder/huts.md" });
    await made(1);
    expect([last().method, last().address]).toEqual([
      "POST",
      "http://gateway.test/below/api/v1/documents",
    ]);
    expect(last().headers).toEqual({ "idempotency-key": "m_1" });
    expect([...(last().form?.keys() ?? [])]).toEqual(["collection", "key", "file"]);
    for (const loaded of [4, 10, 300]) last().progress(loaded);
    last().answer(202, { document: "d_1", version: 1, job: "j_1" });
    expect(await sent).toEqual({ document: "d_1", version: 1, job: "j_1" });
    expect(seen).toEqual([4, 10, 10]);
  });

  it("takes the place of a document", async () => {
    const { sent } = sending({ document: "d/1" });
    await made(1);
    expect([last().method, last().address]).toEqual([
      "PUT",
      "http://gateway.test/below/api/v1/documents/d%2F1",
    ]);
    expect([...(last().form?.keys() ?? [])]).toEqual(["file"]);
    last().answer(413, { code: "too_large", detail: "a document has at most 10 bytes" });
    await expect(sent).rejects.toMatchObject({
      status: 413,
      message: "a document has at most 10 bytes",
    });
  });

  it("is not begun when it is too large", async () => {
    const file = new File(["x"], "a.md");
    Object.defineProperty(file, "size", { value: MAX_BYTES + 1 });
    await expect(sending({ file }).sent).rejects.toMatchObject({ code: "too_large" });
    expect(FakeRequest.made).toEqual([]);
  });

  it("is cut off, cancelled, or stands still", async () => {
    const cut = sending();
    await made(1);
    last().over("error");
    await expect(cut.sent).rejects.toMatchObject({ status: 0, code: "broken" });
    const cancelled = sending();
    await made(2);
    cancelled.ended.abort();
    await expect(cancelled.sent).rejects.toMatchObject({ code: "aborted" });
    vi.useFakeTimers();
    const still = sending();
    await vi.advanceTimersByTimeAsync(40_000);
    last().progress(3);
    await vi.advanceTimersByTimeAsync(44_000);
    last().progress(4);
    await vi.advanceTimersByTimeAsync(46_000);
    await expect(still.sent).rejects.toMatchObject({ code: "broken" });
  });
});

describe("requests", () => {
  const endpoint = () => {
    const token = vi.fn((expired: boolean) => (expired ? "new" : "old"));
    return { token, endpoint: new Endpoint("http://gateway.test", { token }) };
  };

  it("are made with the token, and once more with a fresh one", async () => {
    const { sent } = sending({}, endpoint().endpoint);
    await made(1);
    expect(last().headers.authorization).toBe("Bearer old");
    last().answer(401, { code: "unauthenticated", detail: "no" });
    await made(2);
    expect(last().headers.authorization).toBe("Bearer new");
    last().answer(401, { code: "unauthenticated", detail: "no" });
    await expect(sent).rejects.toMatchObject({ status: 401 });
    expect(FakeRequest.made).toHaveLength(2);
  });

  it("other than uploads, too", async () => {
    const seen: string[] = [];
    vi.stubGlobal("fetch", async (_: URL, { headers }: { headers: Record<string, string> }) => {
      seen.push(headers.authorization ?? "");
      return new Response(null, { status: seen.length < 2 ? 401 : 200 });
    });
    expect((await endpoint().endpoint.request("documents")).status).toBe(200);
    expect(seen).toEqual(["Bearer old", "Bearer new"]);
  });

  it("fail as if the gateway were away when no token can be had", async () => {
    const none = new Endpoint("http://gateway.test", {
      token: () => Promise.reject(new Error("no")),
    });
    await expect(sending({}, none).sent).rejects.toMatchObject({ status: 0 });
  });
});
