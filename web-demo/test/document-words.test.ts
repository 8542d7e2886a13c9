/** What is said of documents. */
import { describe, expect, it } from "vitest";
import { Problem, problemFrom, problemText } from "../src/documents/problem";
import {
  factsText,
  shareDone,
  sizeText,
  stageText,
  standing,
  transferText,
} from "../src/documents/words";
import { document_, job } from "./document";

describe("a problem", () => {
  it("is told in the words of the gateway", () => {
    const body = '{"code":"type_mismatch","detail":"this is no PDF"}';
    expect(problemText(problemFrom(415, body, null))).toBe("This is no PDF.");
    expect(problemFrom(503, "{}", "7").retryMs).toBe(7_000);
  });

  it("is told in ours where there are none", () => {
    expect(problemText(problemFrom(502, "<html>", null))).toBe(
      "The gateway answered with status 502.",
    );
    expect(
      problemText(
        problemFrom(404, '{"code":"not_found","detail":"there is no such address"}', null),
      ),
    ).toBe("This gateway keeps no documents.");
    expect(problemText(new Problem(401, "unauthenticated", "x"))).toBe("You are not signed in.");
    for (const body of ["null", "7", '"text"', "[1]", '{"code":7}'])
      expect(problemText(problemFrom(500, body, null))).toBe(
        "The gateway answered with status 500.",
      );
  });
});

describe("a document", () => {
  it("says how it stands, and what answers meanwhile", () => {
    expect(standing(document_())).toEqual({ label: "Ready", mood: "good", reason: "" });
    const fault = { code: "no_text", detail: "there is no text in it" };
    const failed = document_({ status: "failed", error: fault, version: 3, indexed_version: 2 });
    expect(standing(failed).reason).toBe("There is no text in it. Version 2 goes on answering.");
    expect(standing(document_({ status: "quarantined", indexed_version: null })).label).toBe(
      "Held back",
    );
    const cancelled = document_({ status: "failed", job: job({ state: "cancelled" }) });
    expect(standing(cancelled).label).toBe("Cancelled");
    const working = document_({ status: "indexing", job: job({ state: "running" }) });
    expect(standing(working).label).toBe("Working");
  });

  it("says what it is", () => {
    expect(factsText(document_({ pages: 1 }))).toBe("huts.docx · 2.7 kB · 1 page · 2 passages");
    expect(factsText(document_({ name: "Handbook of huts", version: 2 }))).toBe(
      "2.7 kB · 2 passages · version 2",
    );
  });
});

describe("work", () => {
  it("is told by its stage, and never goes back", () => {
    const steps = [
      job({ state: "queued", done: 0, total: 0 }),
      job({ state: "running", stage: "parse", done: 0, total: 0 }),
      job({ state: "running", stage: "chunk", done: 0, total: 0 }),
      job({ state: "running", stage: "embed", done: 0, total: 40 }),
      job({ state: "running", stage: "embed", done: 40, total: 40 }),
      job({ state: "running", stage: "write", done: 40, total: 40 }),
      job({ state: "running", stage: "index", done: 40, total: 40 }),
      job({ state: "done", done: 40, total: 40 }),
    ];
    const shares = steps.map(shareDone);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
    const embedding = job({ state: "running", stage: "embed", done: 12, total: 40 });
    expect(stageText(embedding)).toBe("Working out what it means: 12 of 40 passages");
    const again = job({ state: "queued", error: { code: "x", detail: "the disk is full" } });
    expect(stageText(again)).toBe("It is tried again: the disk is full");
  });
});

describe("sizes and transfers", () => {
  it.each([
    [1, "1 byte"],
    [999, "999 bytes"],
    [1_000, "1.0 kB"],
    [9_960, "10 kB"],
    [999_600, "1.0 MB"],
    [10_485_760, "10 MB"],
  ])("%d bytes are %s", (bytes, text) => expect(sizeText(bytes)).toBe(text));

  it("tell how much has been sent", () => {
    expect(transferText({ name: "sending", sent: 500 }, 2_000)).toBe("500 bytes of 2.0 kB sent");
    expect(transferText({ name: "sending", sent: 2_000 }, 2_000)).toContain(
      "waiting for the gateway",
    );
  });
});
