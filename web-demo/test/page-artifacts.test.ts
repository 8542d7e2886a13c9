// @vitest-environment jsdom
/** The files that tools have made, in an answer. */

import type { Artifact } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Gateway } from "../../packages/client/test/gateway.js";
import type { Answer } from "../../packages/client/test/gateway-session.js";
import { readChart } from "../src/charts/spec";
import { ChartView } from "../src/page/chart-view";
import { fileName } from "../src/page/save";
import { openPage } from "./page-answer";

const MARKUP = "<img src=x onerror=alert(1)>";
const CHART = "application/vnd.vegalite.v5+json";

const VALUES = Array.from({ length: 12 }, (_, at) => {
  const month = `2024-${String(at + 1).padStart(2, "0")}-01`;
  return { month, imports: 10 + at, exports: at === 5 ? null : 12 - at, low: at, high: at + 4 };
});
const encoding = (y: string, more: object = {}) => ({
  x: { field: "month", type: "temporal" },
  y: { field: y, type: "quantitative" },
  ...more,
});
const SPEC = {
  title: "Trade",
  data: { values: VALUES },
  layer: [
    { mark: "area", encoding: encoding("low", { y2: { field: "high" } }) },
    { mark: "line", encoding: encoding("imports") },
    { mark: "bar", encoding: encoding("exports") },
    { mark: "point", encoding: encoding("imports", { color: { value: MARKUP } }) },
  ],
};

let gateway: Gateway;
let answer: Answer;
let close: () => Promise<void>;
let saved: { name: string; href: string }[];
let blobs: Map<string, Blob>;

beforeEach(async () => {
  saved = [];
  blobs = new Map();
  URL.createObjectURL = (content) => {
    const address = `blob:${blobs.size}`;
    blobs.set(address, content as Blob);
    return address;
  };
  URL.revokeObjectURL = () => {};
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function click(this: unknown) {
    const { download, href } = this as HTMLAnchorElement;
    saved.push({ name: download, href });
  });
  const page = await openPage("Draw it.", { token: "secret" });
  ({ gateway, answer, close } = page);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await close();
});

const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
const one = (selector: string) => all(selector)[0] as HTMLElement;
const shown = (look: () => unknown) =>
  vi.waitFor(() => expect(look()).toBeTruthy(), { timeout: 30_000 });
const button = (label: string) =>
  all(".artifact-buttons button").find(({ ariaLabel }) =>
    ariaLabel?.startsWith(`${label}:`),
  ) as HTMLElement;
const textOf = (address: string | undefined) => blobs.get(address ?? "")?.text();

/** A tool that has made this. */
function made(content: string | null, about: Partial<Artifact> = {}): void {
  const artifact = { artifact: "f_1", kind: "file", title: "Letter", media: "application/pdf" };
  const whole = { ...artifact, bytes: content?.length ?? 9, ...about };
  if (content !== null) gateway.artifacts.set(whole.artifact, content);
  answer.call("c_1");
  answer.result("c_1", "ok", { artifacts: [whole] });
}

describe("a file", () => {
  it("is saved with who asks, and never by its address", async () => {
    made("%PDF", { title: `../${MARKUP}`, bytes: 18_231 });
    await shown(() => one(".artifact"));
    expect(one(".artifact-line").textContent).toContain(`../${MARKUP}18 kB`);
    button("Download").click();
    await shown(() => saved.length === 1);
    expect(saved[0]?.name).toBe("__img src=x onerror=alert(1)_.pdf");
    expect(await textOf(saved[0]?.href)).toBe("%PDF");
    expect(gateway.requests.filter((path) => path.includes("artifacts"))).toEqual([
      "/api/v1/artifacts/f_1",
    ]);
    expect(gateway.bearers.at(-1)).toBe("Bearer secret");
    expect(all("a[href]").filter(({ outerHTML }) => outerHTML.includes("artifacts"))).toEqual([]);
  });

  it("is opened in a tab of its own, as what it was checked to be", async () => {
    const tab = { location: { replace: vi.fn() }, close: vi.fn() };
    vi.spyOn(window, "open").mockReturnValue(tab as unknown as Window);
    made("<script>alert(1)</script>", { media: "text/plain; charset=utf-8", title: "Note" });
    await shown(() => one(".artifact"));
    button("Open").click();
    expect(window.open).toHaveBeenCalledWith("about:blank");
    await shown(() => tab.location.replace.mock.calls.length === 1);
    const address = tab.location.replace.mock.calls[0]?.[0];
    expect(address).toMatch(/^blob:/);
    expect(blobs.get(address)?.type).toBe("text/plain");
  });

  it("that could run something is only saved", async () => {
    for (const media of ["text/html", "image/svg+xml", "application/xml"])
      made("<script>", { artifact: media, media });
    await shown(() => all(".artifact").length === 3);
    expect(button("Open")).toBeUndefined();
    expect(all(".artifact-buttons button")).toHaveLength(3);
  });

  it("says so when it is not kept any more", async () => {
    const tab = { location: { replace: vi.fn() }, close: vi.fn() };
    vi.spyOn(window, "open").mockReturnValue(tab as unknown as Window);
    made(null);
    await shown(() => one(".artifact"));
    button("Open").click();
    await shown(() => !one(".artifact-note").hidden);
    expect(one(".artifact-note").textContent).toMatch(/^Expired/);
    expect(all(".artifact-buttons button")).toHaveLength(0);
    expect(tab.close).toHaveBeenCalled();
  });

  it("has a name that no system minds", () => {
    expect(fileName("Sanction letter", "application/pdf")).toBe("Sanction letter.pdf");
    expect(fileName("a.CSV", "text/csv")).toBe("a.CSV");
    expect(fileName("..", "text/csv")).toBe("file.csv");
    expect(fileName("a\u202Efdp.exe", "application/pdf")).toBe("a_fdp.exe.pdf");
    expect(fileName("x".repeat(300), "text/plain")).toHaveLength(104);
    expect(fileName("a", "application/x-odd")).toBe("a");
  });
});

describe("a table", () => {
  it("is shown as far as it is of use, as text", async () => {
    const rows = Array.from({ length: 250 }, (_, at) => `${at},"${MARKUP}"`);
    made(`n,${MARKUP}\r\n${rows.join("\r\n")}\r\n`, { kind: "table", media: "text/csv" });
    await shown(() => all(".artifact tbody tr").length === 200);
    expect(one(".artifact .value p").textContent).toBe("… 50 more rows");
    expect(all(".artifact th").map(({ textContent }) => textContent)).toEqual(["n", MARKUP]);
    expect(all(".artifact img")).toHaveLength(0);
    expect(one(".artifact td").className).toBe("number");
    button("Download").click();
    await shown(() => saved.length === 1);
    expect(saved[0]?.name).toBe("Letter.csv");
  });

  it("that is too large is only saved", async () => {
    made("a\n1\n", { kind: "table", media: "text/csv", bytes: 3_000_000 });
    await shown(() => one(".artifact"));
    expect(one(".artifact-body").hidden).toBe(true);
    expect(gateway.requests.some((path) => path.includes("artifacts"))).toBe(false);
  });
});

describe("a chart", () => {
  const about = { kind: "chart", media: CHART, title: "Chart" };

  it("is drawn, and is there as a table and as a file", async () => {
    made(JSON.stringify(SPEC), about);
    await shown(() => one(".chart"));
    expect(one(".chart svg").getAttribute("aria-label")).toBe("Trade");
    expect(one(".chart svg").getAttribute("role")).toBe("img");
    expect(all(".chart-bar rect").length - 1, "and one in the legend").toBe(11);
    expect(all(".chart-legend li").map(({ textContent }) => textContent)).toEqual([
      "low – high",
      "imports",
      "exports",
      "imports",
    ]);
    expect(all(".artifact table").every(({ parentElement }) => parentElement?.hidden)).toBe(true);
    button("As table").click();
    expect(button("As table").ariaExpanded).toBe("true");
    expect(one(".artifact .value").hidden).toBe(false);
    expect(all(".artifact tbody tr")).toHaveLength(12);
    button("As CSV").click();
    expect(saved[0]?.name).toBe("Trade.csv");
    expect(await textOf(saved[0]?.href)).toMatch(
      /^month,imports,exports,low,high\r\n2024-01-01,10,/,
    );
  });

  it("that has anything else in it is not drawn", async () => {
    made(JSON.stringify({ ...SPEC, transform: [] }), about);
    await shown(() => !one(".artifact-note").hidden);
    expect(one(".artifact-note").textContent).toBe(
      "This cannot be drawn. It has “transform” in the chart.",
    );
    expect(all(".chart")).toHaveLength(0);
    expect(one(".artifact-body").hidden).toBe(true);
  });

  it("that is not kept any more says so", async () => {
    made(null, about);
    await shown(() => one(".artifact-note").textContent?.startsWith("Expired"));
  });

  it("that could not be fetched can be tried again", async () => {
    made(JSON.stringify(SPEC), about);
    gateway.failures = 1;
    await shown(() => button("Try again"));
    button("Try again").click();
    await shown(() => one(".chart"));
  });
});

describe("the picture of a chart", () => {
  const view = (spec: object) => new ChartView(readChart(JSON.stringify(spec)), "Trade").root;
  const reader = (root: HTMLElement) => root.querySelector(".chart-reader") as HTMLElement;
  const value = (root: HTMLElement) => reader(root).getAttribute("aria-valuetext");

  it("is read by keyboard, place by place", () => {
    const root = view(SPEC);
    document.body.append(root);
    const field = reader(root);
    expect(field.getAttribute("role")).toBe("slider");
    expect(field.getAttribute("aria-label")).toBe("Trade: values");
    expect(field.tabIndex).toBe(0);
    expect(value(root)).toBe("Dec 2024, low – high 11 – 15, imports 21, exports 1, imports 21");
    const press = (key: string) =>
      field.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    field.focus();
    const tip = root.querySelector(".chart-tip") as HTMLElement;
    expect(tip.hidden).toBe(false);
    press("Home");
    expect(field.getAttribute("aria-valuenow")).toBe("1");
    expect(value(root)).toMatch(/^Jan 2024, /);
    press("ArrowLeft");
    expect(value(root)).toMatch(/^Jan 2024, /);
    for (let at = 0; at < 5; at++) press("ArrowRight");
    expect(value(root), "a gap has no value").toBe(
      "Jun 2024, low – high 5 – 9, imports 15, imports 15",
    );
    press("End");
    expect(tip.textContent).toContain("Dec 2024");
    let heard = 0;
    document.addEventListener("keydown", () => heard++, { once: true });
    press("Escape");
    expect([tip.hidden, heard]).toEqual([true, 0]);
    press("Escape");
    expect(heard, "then it is for others").toBe(1);
    root.remove();
  });

  it("is made of shapes and text alone, whatever it says", () => {
    const values = [
      { [MARKUP]: MARKUP, n: 1, who: MARKUP },
      { [MARKUP]: "</text><script>alert(1)</script>", n: -2, who: "url(javascript:alert(1))" },
      { [MARKUP]: "javascript:alert(1)", n: 3, who: "__proto__" },
    ];
    for (const mark of ["line", "bar", "area", "point"]) {
      const color = { field: "who" };
      const x = { field: MARKUP, type: "ordinal" };
      const encoding = { x, y: { field: "n", type: "quantitative" }, color };
      const root = view({ title: MARKUP, data: { values }, layer: [{ mark, encoding }] });
      reader(root).dispatchEvent(new FocusEvent("focus"));
      for (const element of root.querySelectorAll("*")) {
        expect("div p ul li span svg g path rect circle line text".split(" ")).toContain(
          element.localName,
        );
        for (const { name, value: content } of element.attributes) {
          expect(name).not.toMatch(/^on|href$|^src/);
          if (name !== "aria-label" && name !== "aria-valuetext")
            expect(content).not.toMatch(/url\(|script|NaN|Infinity|undefined/);
        }
      }
    }
  });

  it("has finite places, whatever the numbers are", () => {
    for (const n of [[0], [5, 5], [-1e100, 1e100], [1e-300, 2e-300], [1e15, 1e15 + 1], [1, null]]) {
      for (const mark of ["line", "bar", "area", "point"])
        for (const type of ["quantitative", "ordinal", "temporal"]) {
          const values = n.map((y, at) => ({ x: type === "temporal" ? `20${10 + at}` : at, y }));
          const encoding = { x: { field: "x", type }, y: { field: "y", type: "quantitative" } };
          const root = view({ data: { values }, layer: [{ mark, encoding }] });
          expect(root.innerHTML).not.toMatch(/NaN|Infinity|undefined/);
        }
    }
  });
});
