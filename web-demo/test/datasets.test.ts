// @vitest-environment jsdom
/** Tables that somebody brings to the conversation. */
import { readFileSync } from "node:fs";
import type { Assistant, RivuletClient } from "@rivulet/client";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { assistant } from "../../packages/client/test/gateway.js";
import { isTable, takesTables } from "../src/documents/datasets";
import { DatasetCards } from "../src/page/dataset-cards";
import { StatusVoice } from "../src/page/status-voice";

const MARKUP = "<img src=x onerror=alert(1)>";
const DATASET = {
  id: "d_1",
  name: `${MARKUP}.csv`,
  rows: 1_204,
  columns: [
    { name: MARKUP, type: "date", missing: 0, min: "2020-01", max: "2024-12" },
    { name: "imports", type: "number", missing: 3, min: -1.5 },
  ],
  period: { column: MARKUP, from: "2020-01", to: "2024-12" },
};

let welcome: (frame: { recovered: string }) => void;
let request: ReturnType<typeof vi.fn>;
let cards: DatasetCards;
let current: Assistant | undefined;

beforeEach(() => {
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  request = vi.fn(async () => Response.json(DATASET, { status: 201 }));
  const on = (name: string, listener: typeof welcome): void => {
    if (name === "welcome") welcome = listener;
  };
  const client = { on, endpoint: { request } } as unknown as RivuletClient;
  current = assistant("econ", { uploads: ["datasets"] });
  cards = new DatasetCards(client, () => current, new StatusVoice());
  cards.paint();
});

const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
const one = (selector: string) => all(selector)[0] as HTMLElement;
const shown = (look: () => unknown) =>
  vi.waitFor(() => expect(look()).toBeTruthy(), { timeout: 30_000 });
const file = (name: string) => new File(["a,b\n1,2\n"], name);

describe("tables", () => {
  it("are known by their names", () => {
    expect(["a.csv", "A.XLSX", "b.xls", "c.ods"].every((name) => isTable(file(name)))).toBe(true);
    expect(["a.csv.exe", "csv", "a.pdf", "a.xlsm"].some((name) => isTable(file(name)))).toBe(false);
  });

  it("are of use to those who say so", () => {
    const tool = { name: "dataset", title: "Table" };
    expect(takesTables(undefined)).toBe(false);
    expect(takesTables(assistant("plain"))).toBe(false);
    expect(takesTables(assistant("plain", { tools: [{ name: "calc", title: "" }] }))).toBe(false);
    expect(takesTables(assistant("econ", { uploads: ["datasets"] }))).toBe(true);
    expect(takesTables(assistant("econ", { tools: [tool] }))).toBe(true);
    expect(takesTables(assistant("econ", { tools: [tool], uploads: [] }))).toBe(false);
  });

  it("that are brought say what is in them, as text", async () => {
    expect(one("#attach").hidden).toBe(false);
    const others = cards.take([file("trade.csv"), file("report.pdf")]);
    expect(others.map(({ name }) => name)).toEqual(["report.pdf"]);
    expect(one(".dataset").textContent).toContain("trade.csvOn its way");
    await shown(() => one(".dataset details"));
    expect(one(".dataset-name").textContent).toBe(DATASET.name);
    expect(one(".dataset-facts").textContent).toBe("1204 rows · 2 columns · 2020-01 to 2024-12");
    const cells = all(".dataset tbody tr").map((row) =>
      [...row.children].map(({ textContent }) => textContent).join("|"),
    );
    expect(cells).toEqual([`${MARKUP}|date|0|2020-01|2024-12`, "imports|number|3|-1.5|"]);
    expect(all("#datasets img")).toHaveLength(0);
    const [path, { method, body }] = request.mock.calls[0] ?? [];
    expect([path, method, body.get("file").name]).toEqual(["datasets", "POST", "trade.csv"]);
    one(".dataset .copy").click();
    expect(all(".dataset")).toHaveLength(0);
  });

  it("that are refused say why", async () => {
    const problem = { code: "unsupported_type", detail: "there is no table in it" };
    request.mockResolvedValueOnce(Response.json(problem, { status: 415 }));
    cards.take([file("odd.xlsx")]);
    await shown(() => one(".dataset").dataset.failed === "");
    expect(one(".dataset-facts").textContent).toBe("There is no table in it.");
    const large = file("large.csv");
    Object.defineProperty(large, "size", { value: 11 * 1024 * 1024 });
    cards.take([large]);
    await shown(() => all(".dataset[data-failed]").length === 2);
    expect(request).toHaveBeenCalledTimes(1);
  });

  it("have a bound, and go with the conversation", async () => {
    cards.take(Array.from({ length: 12 }, (_, at) => file(`${at}.csv`)));
    expect(request).toHaveBeenCalledTimes(10);
    expect(one("#datasets").textContent).toContain("Only 10 of 12 tables were taken.");
    welcome({ recovered: "full" });
    expect(all(".dataset")).toHaveLength(11);
    welcome({ recovered: "new" });
    expect(all(".dataset")).toHaveLength(0);
  });

  it("are documents like others where nobody can ask them", () => {
    current = assistant("plain");
    cards.paint();
    expect(one("#attach").hidden).toBe(true);
    expect(cards.take([file("a.csv")])).toHaveLength(1);
    expect(request).not.toHaveBeenCalled();
  });
});
