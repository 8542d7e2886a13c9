/** Whether everything that people read in the panel has words in every language. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { ADVICE, TEXT } from "../../../web-demo/src/page/notices";
import {
  NOTE,
  PHASE,
  SPENT_BEFORE,
  SPENT_WITHIN,
  STOPPED_BEFORE,
} from "../../../web-demo/src/page/outcome";
import { sayBy } from "../../../web-demo/src/page/say";
import { STATUS } from "../../../web-demo/src/page/tool-words";
import { afterClose, closeMeaning } from "../../client/src/close-codes";
import ar from "../src/locales/ar";
import de from "../src/locales/de";
import hi from "../src/locales/hi";

const PAGE = resolve(import.meta.dirname, "../../../web-demo/src/page");
const OWN = resolve(import.meta.dirname, "../src");
const SHARED = [
  ...["value-view", "when"],
  ...["announcer", "approval-view", "artifact-cards", "chart-view", "copy-button"],
  ...[
    "feedback-view",
    "markdown-view",
    "notices",
    "outcome",
    "table-view",
    "tool-cards",
    "tool-words",
  ],
];

/** Texts that are said as they stand in a source. */
function saidIn(file: string): string[] {
  const source = readFileSync(file, "utf8");
  const said = source.matchAll(/(?:\bsay|#say|#words)\(\s*("(?:[^"\\]|\\.)*")/g);
  return Array.from(said, ([, text = '""']) => JSON.parse(text) as string);
}

/** The ends of a connection that are shown: after the others it comes back. */
const endings = Array.from({ length: 4300 }, (_, code) => code)
  .filter((code) => ["terminal", "without-it"].includes(afterClose(code)))
  .map((code) => closeMeaning(code))
  .filter((meaning) => !meaning.startsWith("Connection closed ("));

const words = new Set([
  ...SHARED.flatMap((name) => saidIn(join(PAGE, `${name}.ts`))),
  ...readdirSync(OWN).flatMap((name) => (name.endsWith(".ts") ? saidIn(join(OWN, name)) : [])),
  ...[TEXT, ADVICE, STATUS, PHASE, NOTE].flatMap((table) => Object.values(table)),
  ...[STOPPED_BEFORE, SPENT_BEFORE, SPENT_WITHIN, "Working"],
  ...["Sending…", "Waiting for the connection…"],
  ...endings,
]);

const marks = (text: string): string[] => (text.match(/\{\d\}/g) ?? []).sort();

describe.each(Object.entries({ ar, de, hi }))("the table of %s", (_, table) => {
  it("has all words, and no others", () => {
    expect(words.size).toBeGreaterThan(100);
    expect([...words].filter((text) => !Object.hasOwn(table, text))).toEqual([]);
    expect(Object.keys(table).filter((text) => !words.has(text))).toEqual([]);
  });

  it("has the same values in them", () => {
    for (const [text, told] of Object.entries(table))
      expect(marks(told), text).toEqual(marks(text));
  });
});

describe("what is said", () => {
  it("has its values in the place of the marks, in the order of the language", () => {
    const say = sayBy({ "{0} of {1}": "von {1} {0}" });
    expect(say("{0} of {1}", 2, "a {0}")).toBe("von a {0} 2");
    expect(say("not {0} known", 1)).toBe("not 1 known");
    expect(say("constructor")).toBe("constructor");
  });
});
