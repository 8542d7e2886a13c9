/** What is a chart, where its values lie, and its table as a file. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCsv, toCsv } from "../src/charts/csv";
import { numberAxis, timeAxis, timeText } from "../src/charts/scale";
import { NotDrawable, type Row, readChart } from "../src/charts/spec";

const X = { field: "month", type: "temporal" };
const Y = { field: "imports", type: "quantitative" };
const VALUES = [
  { month: "2024-02", imports: 12.5, low: 1, high: 3, who: "b" },
  { month: "2024-01", imports: 10, low: 2, high: 4, who: "a" },
  { month: "2024-03", imports: null, low: 2, high: 4, who: "a" },
];
const spec = (about: object = {}, encoding: object = {}, values: unknown = VALUES) =>
  JSON.stringify({
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    title: "Imports",
    data: { values },
    layer: [{ mark: "line", encoding: { x: X, y: Y, ...encoding } }],
    ...about,
  });

describe("a chart", () => {
  it("has its places in order, and gaps where nothing was measured", () => {
    const { title, kind, xs, series } = readChart(spec());
    expect([title, kind]).toEqual(["Imports", "temporal"]);
    expect(xs).toEqual([Date.UTC(2024, 0), Date.UTC(2024, 1), Date.UTC(2024, 2)]);
    expect(series).toHaveLength(1);
    expect(series[0]).toMatchObject({ name: "imports", mark: "line", band: false, colour: 0 });
    expect(series[0]?.points.map(({ x, y }) => [x, y])).toEqual([
      [0, 10],
      [1, 12.5],
      [2, null],
    ]);
  });

  it("has a series for each value of its colour, and one colour for what belongs together", () => {
    const by = readChart(spec({}, { color: { field: "who" } })).series;
    expect(by.map(({ name, colour }) => [name, colour])).toEqual([
      ["b", 0],
      ["a", 1],
    ]);
    const band = { x: X, y: { field: "low", type: "quantitative" }, y2: { field: "high" } };
    const color = { value: "url(https://elsewhere.example/)" };
    const layer = [
      { mark: "area", encoding: { ...band, color } },
      { mark: "line", encoding: { x: X, y: Y, color } },
      { mark: "point", encoding: { x: X, y: { field: "high", type: "quantitative" } } },
    ];
    const { series } = readChart(spec({ layer }));
    expect(series.map(({ name, band, colour }) => [name, band, colour])).toEqual([
      ["low – high", true, 0],
      ["imports", false, 0],
      ["high", false, 1],
    ]);
    expect(JSON.stringify(series)).not.toContain("elsewhere");
  });

  it("as the gateway writes it has names for people", () => {
    const values = [
      { x: "2024-01", value: 1, series: "imports" },
      { x: "2024-02", low: 1, high: 3 },
    ];
    const x = { field: "x", type: "temporal", title: "month" };
    const y = (field: string) => ({ field, type: "quantitative" });
    const layer = [
      { mark: "area", encoding: { x, y: y("low"), y2: { field: "high" } } },
      { mark: "line", encoding: { x, y: { ...y("value"), title: "imports" } } },
    ];
    const { series, titles, rows } = readChart(spec({ layer }, {}, values));
    expect(series.map(({ name }) => name)).toEqual(["low – high", "imports"]);
    expect(toCsv(rows, titles)).toMatch(/^month,imports,series,low,high\r\n/);
  });

  it("is refused with whatever does not belong in it", () => {
    const layer = (about: object) => ({
      layer: [{ mark: "line", encoding: { x: X, y: Y }, ...about }],
    });
    const nasty: readonly [string, RegExp][] = [
      ["", /not JSON/],
      ["null", /no the chart|no .*as it should be/],
      ["[]", /as it should be/],
      [spec({ transform: [{ calculate: "1", as: "x" }] }), /“transform”/],
      [spec({ params: [] }), /“params”/],
      [spec({ usermeta: {} }), /“usermeta”/],
      [spec({ data: { url: "https://elsewhere.example/" } }), /“url”/],
      [spec({ data: { values: VALUES, format: {} } }), /“format”/],
      [spec({ data: { values: "a,b" } }), /no values/],
      [spec({ title: { text: "x" } }), /no title/],
      [spec({ title: "x".repeat(501) }), /no title/],
      [spec({ layer: [] }), /no layer/],
      [spec({ layer: undefined, mark: "line" }), /“mark”/],
      [spec(layer({ mark: { type: "line", href: "javascript:alert(1)" } })), /as the mark/],
      [spec(layer({ mark: "image" })), /as the mark/],
      [spec(layer({ mark: "__proto__" })), /as the mark/],
      [spec(layer({ data: { url: "x" } })), /“data”/],
      [spec({}, { href: { field: "who" } }), /“href”/],
      [spec({}, { tooltip: { field: "who" } }), /“tooltip”/],
      [spec({}, { x: { ...X, timeUnit: "year" } }), /“timeUnit”/],
      [spec({}, { x: { field: { repeat: "row" }, type: "temporal" } }), /no x/],
      [spec({}, { x: { field: "month", type: "nominal" } }), /type of x/],
      [spec({}, { y: { ...Y, aggregate: "sum" } }), /“aggregate”/],
      [spec({}, { y: { ...Y, type: "temporal" } }), /type of y/],
      [spec({}, { y: { ...Y, title: { signal: "x" } } }), /no title/],
      [spec({}, { color: { value: "red", field: "who" } }), /color/],
      [spec({}, { color: { field: "who", scale: {} } }), /“scale”/],
      [spec({}, { color: { value: 3 } }), /no color/],
      [spec({}, {}, [{ month: "2024", imports: "12" }]), /words where numbers/],
      [spec({}, {}, [{ month: "2024", imports: { valueOf: 1 } }]), /values within values/],
      [spec({}, {}, [{ month: "soon", imports: 1 }]), /a time/],
      [spec({}, {}, [{ month: "0001-01-01", imports: 1 }]), /a time/],
      [spec({}, {}, [{ month: "2024", imports: 1e300 }]), /too large/],
      [spec().replace("12.5", "1e999"), /too large/],
      [spec({}, {}, [{ month: "2024", imports: null }]), /nothing in it/],
      [spec({}, {}, []), /nothing in it/],
      [spec({}, {}, Array(2_001).fill({ month: "2024", imports: 1 })), /too much in values/],
      [spec({}, {}, [{ month: "x".repeat(501), imports: 1 }]), /no values/],
      [
        spec(
          {},
          { color: { field: "who" } },
          Array.from({ length: 13 }, (_, who) => ({ month: "2024", imports: 1, who })),
        ),
        /too many series/,
      ],
    ];
    for (const [json, why] of nasty) {
      expect(() => readChart(json), json.slice(0, 200)).toThrow(NotDrawable);
      expect(() => readChart(json), json.slice(0, 200)).toThrow(why);
    }
    const axes = [
      { mark: "line", encoding: { x: X, y: Y } },
      { mark: "line", encoding: { x: { field: "who", type: "ordinal" }, y: Y } },
    ];
    expect(() => readChart(spec({ layer: axes }))).toThrow(/several axes/);
  });

  it("takes names that objects have by themselves for columns like any other", () => {
    const values = '[{"__proto__": 1, "x": "a"}, {"constructor": 2, "x": "b"}]';
    const field = (name: string) => ({
      x: { field: "x", type: "ordinal" },
      y: { field: name, type: "quantitative" },
    });
    for (const name of ["__proto__", "constructor"]) {
      const json = spec({ layer: [{ mark: "bar", encoding: field(name) }] });
      const { series } = readChart(json.replace(/"values":\[.*?\]/, `"values":${values}`));
      expect(series[0]?.points.filter(({ y }) => y !== null)).toHaveLength(1);
    }
    expect(() =>
      readChart(spec({ layer: [{ mark: "bar", encoding: field("toString") }] })),
    ).toThrow(/nothing in it/);
  });

  it("throws nothing else, whatever it is given", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), fc.jsonValue(), (json, value) => {
        const layer = [{ mark: "bar", encoding: value }];
        const all = [{ layer }, { layer: value }, { data: value }, { data: { values: value } }];
        for (const one of [json, ...all.map((about) => spec(about))])
          try {
            readChart(one);
          } catch (error) {
            expect(error).toBeInstanceOf(NotDrawable);
          }
      }),
    );
  });
});

describe("an axis", () => {
  it("has steps of 1, 2 or 5, and holds all that there is", () => {
    const { from, to, ticks } = numberAxis(0.3, 9.7, 5);
    expect([from, to]).toEqual([0, 10]);
    expect(ticks.map(({ label }) => label)).toEqual(["0", "2", "4", "6", "8", "10"]);
    expect(numberAxis(0, 0.3, 3).ticks.map(({ label }) => label)).toEqual([
      "0.0",
      "0.1",
      "0.2",
      "0.3",
    ]);
    const number = fc.double({ min: -1e100, max: 1e100, noNaN: true });
    fc.assert(
      fc.property(number, number, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const axis = numberAxis(low, high, 5);
        expect(axis.ticks.length).toBeGreaterThan(1);
        expect(axis.ticks.length).toBeLessThanOrEqual(51);
        expect(axis.from).toBeLessThan(axis.to);
        const room = (axis.to - axis.from) * 1e-6;
        expect(axis.from).toBeLessThanOrEqual(low + room);
        expect(axis.to).toBeGreaterThanOrEqual(high - room);
      }),
    );
  });

  it("of times has whole months, years, days or hours", () => {
    const labels = (from: string, to: string) =>
      timeAxis(Date.parse(from), Date.parse(to), 6).ticks.map(({ label }) => label);
    expect(labels("2020-01-01", "2024-06-01")).toEqual(["2020", "2021", "2022", "2023", "2024"]);
    expect(labels("2024-01-01", "2024-06-01")).toEqual([
      "Jan 2024",
      "Feb 2024",
      "Mar 2024",
      "Apr 2024",
      "May 2024",
      "Jun 2024",
    ]);
    expect(labels("2024-02-27", "2024-03-02")).toHaveLength(5);
    expect(labels("2024-02-27T00:00Z", "2024-02-27T06:00Z")).toHaveLength(7);
    const ms = fc.integer({ min: Date.UTC(1000, 0), max: Date.UTC(9999, 0) });
    fc.assert(
      fc.property(ms, ms, (a, b) => {
        const axis = timeAxis(Math.min(a, b), Math.max(a, b), 6);
        expect(axis.ticks.length).toBeLessThanOrEqual(12);
        for (const { at } of axis.ticks) expect(at >= axis.from && at <= axis.to).toBe(true);
      }),
    );
  });

  it("says a time as exactly as tells them apart", () => {
    const [a, b] = [Date.UTC(2024, 0), Date.UTC(2024, 1)];
    expect(timeText(a, [a, b])).toBe("Jan 2024");
    expect(timeText(a, [a, b + 86_400_000])).toBe("Jan 1, 2024");
    expect(timeText(a, [a, a + 60_000])).toMatch(/^Jan 1, 2024, 12:00.AM$/);
  });
});

describe("a table as a file", () => {
  it("has no formulas in it, and numbers as they are", () => {
    const rows: Row[] = [
      { name: '=HYPERLINK("x")', n: -3, on: true },
      { name: "+1", n: 0.1, more: "a,b" },
      { name: "-1", n: null },
      { name: "@SUM(A1)" },
      { name: "\t=1" },
      { name: " =1" },
      { name: "a=1", n: 1e21 },
    ];
    expect(toCsv(rows, new Map([["on", "=on"]]))).toBe(
      [
        "name,n,'=on,more",
        `"'=HYPERLINK(""x"")",-3,true,`,
        `'+1,0.1,,"a,b"`,
        "'-1,,,",
        "'@SUM(A1),,,",
        "'\t=1,,,",
        "' =1,,,",
        "a=1,1e+21,,",
        "",
      ].join("\r\n"),
    );
    expect(toCsv([{ "=1+1": 1 }], new Map())).toBe("'=1+1\r\n1\r\n");
  });

  it("is read back as it was written", () => {
    const word = fc.string({ unit: "grapheme" }).filter((text) => !/^[\s=+\-@＝＋－＠]/.test(text));
    fc.assert(
      fc.property(fc.array(fc.tuple(word, word), { minLength: 1 }), (cells) => {
        const { header, rows, total } = readCsv(
          toCsv(
            cells.map(([a, b]) => ({ a, b })),
            new Map(),
          ),
          200,
        );
        expect(header).toEqual(["a", "b"]);
        expect(rows).toEqual(cells.slice(0, 200));
        expect(total).toBe(cells.length);
      }),
    );
  });

  it("is read whatever it looks like", () => {
    expect(readCsv('\uFEFFa,b\n1,"x\ny"\n2,', 9).rows).toEqual([
      ["1", "x\ny"],
      ["2", ""],
    ]);
    expect(readCsv('a\n"1""2"z\n"open', 9).rows).toEqual([['1"2z'], ["open"]]);
    expect(readCsv("", 9)).toEqual({ header: [], rows: [], total: 0 });
    expect(readCsv("a\n1\n2\n3\n", 2)).toEqual({ header: ["a"], rows: [["1"], ["2"]], total: 3 });
    fc.assert(fc.property(fc.string(), (text) => void readCsv(text, 9)));
  });
});

describe("the colours of series", () => {
  const value = (css: string, name: string) =>
    new RegExp(`--${name}: light-dark\\((#\\w+), (#\\w+)\\)`).exec(css)?.slice(1) ?? [];
  const luminance = (hex: string) => {
    const channel = (at: number) => {
      const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  };
  const contrast = (a: string, b: string) => {
    const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((one, other) => one - other);
    return (high + 0.05) / (low + 0.05);
  };

  it("are seen on their ground, in the light and in the dark", () => {
    const css = readFileSync("src/styles/artifacts.css", "utf8");
    const surface = value(readFileSync("src/styles/page.css", "utf8"), "surface");
    for (const number of [1, 2, 3, 4, 5, 6]) {
      const colours = value(css, `series-${number}`);
      expect(colours).toHaveLength(2);
      colours.forEach((colour, at) => {
        expect(contrast(colour, surface[at] ?? ""), colour).toBeGreaterThanOrEqual(4);
      });
    }
  });
});
