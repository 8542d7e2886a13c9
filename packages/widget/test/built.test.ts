/** The program as pages load it. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";

const DIST = resolve(import.meta.dirname, "../dist");
const LAUNCHER = 4 * 1024;
const OPENED = 45 * 1024;
/** A table of another language, and what few conversations have. */
const LATER = 12 * 1024;

const read = (file: string): string => readFileSync(join(DIST, file), "utf8");
const size = (file: string): number => gzipSync(read(file), { level: 9 }).length;
const chunks = readdirSync(join(DIST, "assets")).map((name) => `assets/${name}`);
const chunk = (name: string): string => {
  const found = chunks.filter((file) => file.startsWith(`assets/widget-${name}-`));
  expect(found, name).toHaveLength(1);
  return found[0] as string;
};

/** What a file cannot do without, itself included. */
function needed(file: string, known = new Set<string>()): Set<string> {
  if (known.has(file)) return known;
  known.add(file);
  for (const [, , other = ""] of read(file).matchAll(/\b(?:import|from)(["'`])(\.[^"'`]+)\1/g))
    needed(join(dirname(file), other), known);
  return known;
}

const sum = (files: Iterable<string>): number =>
  [...files].reduce((all, file) => all + size(file), 0);

describe("the program", () => {
  it(`begins with a launcher of no more than ${LAUNCHER} bytes, compressed, which needs nothing else`, () => {
    process.stdout.write(`@rivulet/widget: ${size("widget.js")} bytes compressed at first\n`);
    expect([...needed("widget.js")]).toEqual(["widget.js"]);
    expect(size("widget.js")).toBeLessThanOrEqual(LAUNCHER);
  });

  it(`is no more than ${OPENED} bytes, compressed, when it is open`, () => {
    const all = needed(chunk("panel"));
    const together = sum(new Set(["widget.js", ...all]));
    process.stdout.write(`@rivulet/widget: ${together} bytes compressed when it is open\n`);
    expect(all.size).toBeGreaterThan(1);
    expect(together).toBeLessThanOrEqual(OPENED);
  });

  it("has the rest where few need it", () => {
    for (const name of ["de", "hi", "ar", "tools", "files"]) {
      expect(size(chunk(name)), name).toBeLessThanOrEqual(LATER);
      expect(needed(chunk("panel")).has(chunk(name)), name).toBe(false);
    }
  });

  it("loads the launcher once, whatever address the page has it from", () => {
    for (const file of chunks) expect(read(file), file).not.toContain("/widget.js");
  });

  it("asks nothing of a strict policy: no markup, no program and no style is made of text", () => {
    for (const file of ["widget.js", ...chunks]) {
      expect(read(file), file).not.toMatch(
        /innerHTML|outerHTML|insertAdjacent|document\.write|FromString/,
      );
      expect(read(file), file).not.toMatch(/\beval\(|new Function|setAttribute\([`"']style/);
      expect(read(file), file).not.toMatch(/createElement\([`"'](?:style|script|link|iframe)/);
    }
  });
});
