// @vitest-environment jsdom
/** The list of documents: loaded by pages, searched, deleted, and safe whatever documents are called. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Problem } from "../src/documents/problem";
import { Shelf } from "../src/documents/shelf";
import { Uploads } from "../src/documents/uploads";
import type { DocumentInfo } from "../src/documents/wire";
import { DocumentRow } from "../src/page/documents/document-row";
import { ShelfView } from "../src/page/documents/shelf-view";
import { dangers } from "./dangers";
import { document_, job } from "./document";
import { Library, problem } from "./library";

let library: Library;
let shelf: Shelf;
let view: ShelfView;
let settled: string[];

const nothing = async () => {};
const events = (remove: () => Promise<void> = nothing) => ({
  open: () => {},
  replace: () => {},
  cancel: nothing,
  retry: nothing,
  release: nothing,
  remove,
  download: nothing,
  versions: async () => ({
    indexed_version: 1,
    versions: [document_(), document_({ version: 2 })],
  }),
  rollBack: nothing,
});

beforeEach(() => {
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  library = new Library();
  settled = [];
  shelf = new Shelf(library.api, {
    changed: () => view.paint(),
    settled: ({ document }) => settled.push(document),
  });
  const uploads = new Uploads(() => new Promise(() => {}), {
    changed: () => {},
    accepted: () => {},
    refused: () => {},
  });
  view = new ShelfView(shelf, uploads, (id) => events(() => library.api.remove(id)));
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const note = () => document.getElementById("shelf-note")?.textContent ?? "";
const names = () =>
  [...document.querySelectorAll("#shelf-list .document-name")].map(
    ({ textContent }) => textContent,
  );
const buttonOf = (root: Element, name: string) =>
  [...root.querySelectorAll("button")].find(
    ({ textContent }) => textContent === name,
  ) as HTMLButtonElement;
const fill = (count: number) => {
  for (let at = 0; at < count; at++)
    library.put({ document: `d_${at}`, title: `Document ${at}`, key: `k${at}`, name: `n${at}` }, [
      "Text.",
    ]);
};

describe("the list of documents", () => {
  it("comes by pages, newest first", async () => {
    fill(120);
    await shelf.open("default");
    expect(names()).toHaveLength(50);
    expect(names()[0]).toBe("Document 119");
    await shelf.loadMore();
    await shelf.loadMore();
    expect(names()).toHaveLength(120);
    expect(document.getElementById("shelf-more")?.hidden).toBe(true);
  });

  it("is searched by name, also in what was not loaded yet", async () => {
    fill(300);
    await shelf.open("default");
    const filter = document.getElementById("shelf-filter") as HTMLInputElement;
    filter.value = "DOCUMENT 7";
    filter.dispatchEvent(new Event("input"));
    await vi.waitFor(() => expect(names()).toHaveLength(11));
    filter.value = "no such";
    filter.dispatchEvent(new Event("input"));
    expect(note()).toBe("There is no document of such a name.");
  });

  it("says why it is not there, and that it is empty", async () => {
    await shelf.open("default");
    expect(note()).toBe("There are no documents here yet.");
    library.instead = () =>
      problem(503, "knowledge_unavailable", "the gateway has no knowledge base");
    await shelf.open("default");
    expect(note()).toBe("The gateway has no knowledge base.");
    library.instead = () => problem(404, "not_found", "there is no such address");
    await shelf.open("default");
    expect(note()).toBe("This gateway keeps no documents.");
    library.instead = () => Promise.reject(new TypeError("offline"));
    await shelf.open("default");
    expect(note()).toBe("The gateway cannot be reached.");
    expect(document.getElementById("shelf-again")?.hidden).toBe(false);
  });

  it("keeps what was heard while an older list was on its way", async () => {
    fill(3);
    await shelf.open("default");
    let late: (response: Response) => void = () => {};
    library.instead = (request) =>
      request.startsWith("GET documents?")
        ? new Promise((resolve) => {
            late = resolve;
          })
        : undefined;
    const old = [...library.documents.values()].map(({ info }) => info).reverse();
    const again = shelf.open("default");
    library.put({ document: "d_new", title: "New" }, ["Text."]);
    library.put({ document: "d_1", title: "Other title" }, ["Text."]);
    await shelf.refresh("d_new");
    await shelf.refresh("d_1");
    shelf.drop("d_0");
    late(Response.json({ documents: old, more: false }));
    await again;
    expect(names()).toEqual(["New", "Document 2", "Other title"]);
  });

  it("has no answer of a collection that is not looked at any more", async () => {
    fill(1);
    let late: (response: Response) => void = () => {};
    library.instead = (request) =>
      request.includes("collection=slow")
        ? new Promise((resolve) => {
            late = resolve;
          })
        : undefined;
    const slow = shelf.open("slow");
    await shelf.open("default");
    late(Response.json({ documents: [document_({ title: "Too late" })], more: true }));
    await slow;
    expect(names()).toEqual(["Document 0"]);
    expect(shelf.more).toBe(false);
  });

  it("follows work to its end, and asks then what became of it", async () => {
    const running = job({ state: "running", stage: "embed", done: 1, total: 2 });
    const info = library.put({ status: "indexing", indexed_version: null, job: running }, [
      "Text.",
    ]);
    let say: (job: object) => void = () => {};
    library.instead = (request) => {
      if (!request.includes("/events")) return undefined;
      const body = new ReadableStream({
        start(stream) {
          say = (heard) =>
            stream.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(heard)}\n\n`));
        },
      });
      return new Response(body);
    };
    await shelf.open("default");
    const stage = () => document.querySelector(".document-stage")?.textContent;
    expect(stage()).toBe("Working out what it means: 1 of 2 passages");
    say({ ...running, done: 2, revision: 10 });
    await vi.waitFor(() => expect(stage()).toContain("2 of 2"));
    // What was overtaken on its way is not news.
    say({ ...running, done: 1, revision: 8 });
    library.put({ ...info, status: "ready", indexed_version: 1, job: job({ revision: 12 }) }, [
      "Text.",
    ]);
    say(job({ revision: 12 }));
    await vi.waitFor(() => expect(document.querySelector(".badge")?.textContent).toBe("Ready"));
    expect(settled).toEqual(["d_1"]);
    expect(shelf.busy).toBe(false);
  });
});

describe("a document whose work ended just now", () => {
  it("is asked for again until it says so, too", async () => {
    const failed = job({ state: "failed", error: { code: "no_text", detail: "there is no text" } });
    const info = library.put({ status: "queued", indexed_version: null, job: failed }, ["Text."]);
    await shelf.refresh("d_1");
    expect(settled).toEqual([]);
    const fault = { code: "no_text", detail: "there is no text in it" };
    library.put({ ...info, status: "failed", error: fault }, ["Text."]);
    await vi.waitFor(() => expect(settled).toEqual(["d_1"]));
    expect(document.querySelector(".badge")?.textContent).toBe("Failed");
  });

  it("is not asked for without end", async () => {
    vi.useFakeTimers();
    library.put({ status: "queued", job: job({ state: "failed" }) }, ["Text."]);
    await shelf.refresh("d_1");
    await vi.advanceTimersByTimeAsync(600_000);
    expect(library.asked).toHaveLength(6);
    vi.useRealTimers();
  });
});

describe("a row", () => {
  const row = (given: Partial<DocumentInfo>, own = events()) => {
    const made = new DocumentRow(document_(given), own);
    made.show(document_(given));
    document.body.append(made.root);
    return made.root;
  };

  it("shows names, warnings and reasons as text", async () => {
    const nasty = "<img src=x onerror=alert(1)><b>bold</b>";
    const fault = { code: "x", detail: nasty };
    const root = row({
      title: nasty,
      name: nasty,
      warnings: [nasty],
      flags: [nasty],
      status: "quarantined",
      error: fault,
    });
    buttonOf(root, "Versions").click();
    await vi.waitFor(() => expect(root.querySelector(".version-list")).not.toBeNull());
    buttonOf(root, "Delete").click();
    expect(dangers(root)).toEqual([]);
    expect(root.querySelectorAll("b, img")).toHaveLength(0);
    expect(root.querySelector(".document-name")?.textContent).toBe(nasty);
  });

  it("tells why a document is held back, and what its release came to", async () => {
    const refuse = () =>
      Promise.reject(new Problem(403, "forbidden", "this needs the scope `admin`"));
    const root = row(
      {
        status: "quarantined",
        indexed_version: null,
        flags: ["“ignore all previous instructions”"],
      },
      { ...events(), release: refuse },
    );
    expect(root.querySelector(".document-warnings")?.textContent).toContain("ignore all previous");
    expect(buttonOf(root, "Release").hidden).toBe(false);
    buttonOf(root, "Release").click();
    const told = () => root.querySelector("[role=alert]")?.textContent;
    await vi.waitFor(() => expect(told()).toBe("This needs the scope `admin`."));
  });

  it("asks before it deletes, with the focus on the harmless answer", async () => {
    const removed = vi.fn(nothing);
    const root = row({}, events(removed));
    buttonOf(root, "Delete").click();
    expect(root.querySelector("[role=group]")?.getAttribute("aria-label")).toContain(
      "cannot be undone",
    );
    expect(document.activeElement?.textContent).toBe("Keep it");
    buttonOf(root, "Keep it").click();
    expect(removed).not.toHaveBeenCalled();
    expect(document.activeElement?.textContent).toBe("Delete");
    buttonOf(root, "Delete").click();
    buttonOf(root, "Delete it").click();
    expect(removed).toHaveBeenCalledTimes(1);
  });
});
