import { Buffer } from "node:buffer";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32, crc32Hex } from "../src/crc32.js";
import { formatCursor } from "../src/cursor.js";
import { fromStart, matches, NO_TEXT, place, truncate } from "../src/held-text.js";

const anyText = fc.string({ unit: "binary", maxLength: 200 });

describe("crc32", () => {
  it.each([
    ["", "00000000"],
    ["a", "e8b7be43"],
    ["123456789", "cbf43926"],
    ["The quick brown fox jumps over the lazy dog", "414fa339"],
    ["Zürich 🌊", "65a3a55f"],
  ])("of %j is %s", (text, expected) => {
    expect(crc32Hex(crc32(Buffer.from(text)))).toBe(expected);
  });

  it("agrees with zlib, also when continued in pieces", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, cut) => {
        const at = bytes.length === 0 ? 0 : cut % bytes.length;
        const pieces = crc32(bytes.subarray(at), crc32(bytes.subarray(0, at)));
        expect(pieces).toBe(zlibCrc32(bytes));
      }),
    );
  });
});

describe("the text a client holds", () => {
  it("appends what belongs at its end", () => {
    expect(place(fromStart("Good "), 5, "day")?.text).toBe("Good day");
  });

  it("drops the part it has already", () => {
    expect(place(fromStart("Good d"), 3, "d day")?.text).toBe("Good day");
  });

  it("stays the same object when nothing is new", () => {
    const held = fromStart("Good day");
    expect(place(held, 0, "Good")).toBe(held);
    expect(place(held, 8, "")).toBe(held);
  });

  it("refuses text behind a gap", () => {
    expect(place(fromStart("Good"), 5, "day")).toBeNull();
  });

  it("counts offsets in UTF-16 code units", () => {
    expect(place(fromStart("🌊"), 2, "!")?.text).toBe("🌊!");
    expect(place(fromStart("🌊"), 1, "!")?.text).toBe("🌊");
  });

  it("withdraws everything after a failover's offset", () => {
    const held = truncate(fromStart("The answer is 41"), 14);
    expect(held.text).toBe("The answer is ");
    expect(matches(held, 14, crc32Hex(zlibCrc32("The answer is ")))).toBe(true);
    expect(truncate(held, 99)).toBe(held);
  });

  it("has the right checksum however the text was cut, even inside a surrogate pair", () => {
    fc.assert(
      fc.property(anyText, fc.array(fc.nat({ max: 199 })), (text, cuts) => {
        const ends = [...cuts.filter((cut) => cut < text.length), text.length].sort(
          (a, b) => a - b,
        );
        let held = NO_TEXT;
        for (const end of ends)
          held = place(held, held.text.length, text.slice(held.text.length, end)) ?? NO_TEXT;
        expect(held.text).toBe(text);
        expect(matches(held, text.length, crc32Hex(zlibCrc32(text)))).toBe(true);
        expect(matches(held, text.length + 1, crc32Hex(zlibCrc32(text)))).toBe(false);
      }),
    );
  });
});

describe("a cursor", () => {
  it("names the epoch and the last event", () => {
    expect(formatCursor({ epoch: "e7", seq: 12 })).toBe("e7:12");
  });

  it("adds run and offset in the middle of an answer", () => {
    expect(formatCursor({ epoch: "e7", seq: 12, run: { id: "r_9", off: 340 } })).toBe(
      "e7:12:r_9:340",
    );
  });
});
