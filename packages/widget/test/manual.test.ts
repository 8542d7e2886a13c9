/** Whether docs/widget.md has what there is, and nothing else. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { ATTRIBUTES } from "../src/settings";

const SOURCES = resolve(import.meta.dirname, "../src");
const manual = readFileSync(resolve(import.meta.dirname, "../../../docs/widget.md"), "utf8");
const sources = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(ts|css)$/.test(name))
  .map((name) => readFileSync(join(SOURCES, name), "utf8"))
  .join("\n");

const all = (pattern: RegExp, text: string): string[] =>
  [...new Set(Array.from(text.matchAll(pattern), ([whole, name = whole]) => name))].sort();

describe("docs/widget.md", () => {
  it("has every attribute, and no others", () => {
    expect(all(/^\| `(?!rv-)([a-z][a-z-]*)` \|/gm, manual)).toEqual([...ATTRIBUTES].sort());
  });

  it("has every event", () => {
    expect(all(/`(rv-[a-z-]+)`/g, manual)).toEqual(all(/"(rv-[a-z-]+)": CustomEvent/g, sources));
  });

  it("has every variable", () => {
    expect(all(/--rv-[a-z-]+/g, manual)).toEqual(all(/--rv-[a-z-]+/g, sources));
  });

  it("has every part", () => {
    const told = manual.slice(manual.indexOf("\nParts: "));
    const calls = sources.matchAll(/\bpart\((?:[^;]|\n)*?,((?:\s*"[a-z]+",?)+)\s*\)/g);
    const named = Array.from(calls, ([, names = ""]) => all(/"([a-z]+)"/g, names)).flat();
    const parts = new Set([...named, ...all(/setAttribute\("part", "([a-z]+)"\)/g, sources)]);
    expect(all(/`([a-z]+)`/g, told.slice(0, told.indexOf("\n\n")))).toEqual([...parts].sort());
  });
});
