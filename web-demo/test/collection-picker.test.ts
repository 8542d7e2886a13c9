// @vitest-environment jsdom
/** The choice of a collection, and what can be done with one that can only be read. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CollectionPicker } from "../src/page/documents/collection-picker";
import { type DocumentEvents, DocumentRow } from "../src/page/documents/document-row";
import { DropZone } from "../src/page/documents/drop-zone";
import { document_ } from "./document";
import { Library } from "./library";

const SHARED = "north/shop";
let library: Library;
let chosen: string[];
let picker: CollectionPicker;

const byId = <Kind extends HTMLElement>(id: string) => document.getElementById(id) as Kind;
const select = () => byId<HTMLSelectElement>("collection");
const choose = (name: string) => {
  select().value = name;
  select().dispatchEvent(new Event("change"));
};

/** The gateway has these. */
const collections = (...names: string[]) => {
  library.instead = (request) =>
    request === "GET collections"
      ? Response.json({
          collections: names.map((name) => ({ name, documents: 2, deleting: false })),
        })
      : undefined;
};

beforeEach(() => {
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  library = new Library();
  chosen = [];
  picker = new CollectionPicker(library.api, (name) => chosen.push(name));
});

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a collection that is shared", () => {
  it("is told apart, and can be read and not changed", async () => {
    collections("default", "own", SHARED);
    await picker.load();
    const options = [...select().options].map(({ textContent }) => textContent);
    expect(options).toEqual(["default (2)", "own (2)", "north/shop (2, read-only)"]);
    const offered = () => [byId("collection-delete").hidden, byId("shelf-drop").hidden];
    expect([picker.readOnly, ...offered()]).toEqual([false, true, false]);
    choose("own");
    expect([picker.readOnly, ...offered()]).toEqual([false, false, false]);
    choose(SHARED);
    expect([picker.readOnly, ...offered()]).toEqual([true, true, true]);
    expect(byId("collection-note").textContent).toContain("only its owner can change it");
    expect(chosen).toEqual(["own", SHARED]);
  });

  it("is left when it is taken back", async () => {
    collections("default", SHARED);
    await picker.load();
    choose(SHARED);
    collections("default");
    await picker.load();
    expect([picker.current, picker.readOnly, byId("shelf-drop").hidden]).toEqual([
      "default",
      false,
      false,
    ]);
  });

  it("takes no files", () => {
    const dropped = vi.fn();
    let readOnly = true;
    new DropZone(() => ({ collection: SHARED, readOnly, tables: false }), dropped);
    const over = () => {
      const event = new Event("dragover", { cancelable: true });
      const dataTransfer = { types: ["Files"], dropEffect: "" };
      dispatchEvent(Object.assign(event, { dataTransfer }));
      return [dataTransfer.dropEffect, event.defaultPrevented];
    };
    expect(over()).toEqual(["none", true]);
    expect(byId("drop-curtain-text").textContent).toBe("“north/shop” can only be read");
    readOnly = false;
    expect(over()).toEqual(["copy", true]);
  });

  it("has documents that can be read and kept, and no more", () => {
    const none = {} as DocumentEvents;
    const offered = (collection: string) => {
      const { root } = new DocumentRow(document_({ collection }), { ...none });
      return [...root.querySelectorAll("details .document-actions button")].map(
        ({ textContent }) => textContent,
      );
    };
    expect(offered("own")).toEqual(["Download", "Replace", "Versions", "Delete"]);
    expect(offered(SHARED)).toEqual(["Download"]);
  });
});
