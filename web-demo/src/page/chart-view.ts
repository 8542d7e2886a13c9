/**
 * A chart as SVG: axes, marks, a legend, and the values at one place, for pointer and keyboard. Colours and lines come
 * from the style sheet; all words are text.
 */
import { type Axis, numberAxis, numberText, type Tick, timeAxis, timeText } from "../charts/scale";
import type { Chart, Point, Series } from "../charts/spec";
import { focusNear, make } from "./element";
import { english, type Say } from "./say";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 260;
const NARROWEST = 240;
/** Of a chart that is in no page yet. */
const USUAL_WIDTH = 640;
/** About as wide as a digit is on the axes. */
const CHARACTER = 6.6;
/** In UTF-16 code units: of a category below the axis, and of a name in legend and tooltip. */
const LABEL = 14;
const NAME = 60;
const COLOURS = 6;
const TOP = 10;
const RIGHT = 14;
const BOTTOM = 26;
/** Of the name of an axis. */
const LINE = 18;
const RADIUS = 3.5;

/** Where things are, in pixels. */
interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  /** The middle of place `index`. */
  readonly x: (index: number) => number;
  readonly y: (value: number) => number;
  /** The room that bars have around a place. */
  readonly slot: number;
  readonly xTicks: readonly Tick[];
  readonly yAxis: Axis;
}

export class ChartView {
  readonly root = make("div", { className: "chart" });
  readonly #chart: Chart;
  readonly #plot = document.createElementNS(SVG, "svg");
  readonly #reader = make("div", { className: "chart-reader", tabIndex: 0 });
  readonly #tip = make("div", { className: "chart-tip", hidden: true, ariaHidden: "true" });
  readonly #line = draw("line", { class: "chart-cursor" });
  #frame: Frame;
  #at: number;
  #width = 0;

  constructor(chart: Chart, title: string, say: Say = english) {
    this.#chart = chart;
    this.#at = chart.xs.length - 1;
    this.#frame = frameOf(chart, USUAL_WIDTH);
    this.#plot.setAttribute("role", "img");
    this.#plot.setAttribute("aria-label", title);
    this.#reader.setAttribute("role", "slider");
    this.#reader.setAttribute("aria-label", say("{0}: values", title));
    this.#reader.setAttribute("aria-valuemin", "1");
    this.#reader.setAttribute("aria-valuemax", String(chart.xs.length));
    const stage = make("div", { className: "chart-stage" });
    stage.append(this.#plot, this.#reader, this.#tip);
    this.root.append(stage, ...legend(chart.series, say("Legend")));
    this.#listen();
    this.#draw(USUAL_WIDTH);
    this.#tell();
    if (typeof ResizeObserver === "undefined") return;
    new ResizeObserver(([entry]) => this.#draw(entry?.contentRect.width ?? 0)).observe(stage);
  }

  #draw(available: number): void {
    const width = Math.max(NARROWEST, Math.floor(available));
    if (width === this.#width || available === 0) return;
    this.#width = width;
    this.#frame = frameOf(this.#chart, width);
    this.#plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#plot.replaceChildren(
      ...axes(this.#frame),
      ...axisNames(this.#chart, this.#frame),
      ...marks(this.#chart, this.#frame),
      this.#line,
    );
    this.#hide();
  }

  #listen(): void {
    const { xs } = this.#chart;
    this.#reader.addEventListener("pointermove", ({ clientX }) => {
      const { left, width } = this.#reader.getBoundingClientRect();
      const x = (clientX - left) * (this.#width / (width || this.#width));
      const far = xs.map((_, index) => Math.abs(this.#frame.x(index) - x));
      this.#show(far.indexOf(Math.min(...far)));
    });
    this.#reader.addEventListener("pointerleave", () => {
      if (focusNear(this.#reader) !== this.#reader) this.#hide();
    });
    this.#reader.addEventListener("focus", () => this.#show(this.#at));
    this.#reader.addEventListener("blur", () => this.#hide());
    this.#reader.addEventListener("keydown", (event) => {
      const last = xs.length - 1;
      const page = Math.max(1, Math.round(xs.length / 10));
      const to: Readonly<Record<string, number>> = {
        ArrowLeft: this.#at - 1,
        ArrowDown: this.#at - 1,
        ArrowRight: this.#at + 1,
        ArrowUp: this.#at + 1,
        PageDown: this.#at - page,
        PageUp: this.#at + page,
        Home: 0,
        End: last,
      };
      const next = to[event.key];
      if (next !== undefined) this.#show(Math.min(Math.max(next, 0), last));
      else if (event.key === "Escape" && !this.#tip.hidden) this.#hide();
      else return;
      event.preventDefault();
      // Elsewhere Escape stops the answer.
      event.stopPropagation();
    });
  }

  #show(index: number): void {
    this.#at = index;
    this.#tell();
    const x = this.#frame.x(index);
    const { top, bottom } = this.#frame;
    set(this.#line, { x1: x, x2: x, y1: top, y2: bottom, "data-on": "" });
    const rows = this.#chart.series.flatMap((series) => {
      const value = valueAt(series, index);
      return value === null
        ? []
        : [make("p", {}, swatch(series), `${short(series.name)}: ${value}`)];
    });
    const place = make("p", { className: "chart-tip-place", textContent: this.#placeText(index) });
    this.#tip.replaceChildren(place, ...rows);
    this.#tip.hidden = false;
    const share = x / this.#width;
    this.#tip.style.left = share < 0.5 ? `${(share * 100).toFixed(2)}%` : "auto";
    this.#tip.style.right = share < 0.5 ? "auto" : `${((1 - share) * 100).toFixed(2)}%`;
  }

  #hide(): void {
    this.#tip.hidden = true;
    this.#line.removeAttribute("data-on");
  }

  /** For who cannot see it. */
  #tell(): void {
    const values = this.#chart.series.flatMap((series) => {
      const value = valueAt(series, this.#at);
      return value === null ? [] : [`${short(series.name)} ${value}`];
    });
    const text = [this.#placeText(this.#at), ...values].join(", ");
    this.#reader.setAttribute("aria-valuenow", String(this.#at + 1));
    this.#reader.setAttribute("aria-valuetext", text);
  }

  #placeText(index: number): string {
    const { kind, xs } = this.#chart;
    const x = xs[index] ?? "";
    if (kind === "temporal") return timeText(Number(x), xs.map(Number));
    return kind === "quantitative" ? numberText(Number(x)) : short(String(x));
  }
}

function frameOf(chart: Chart, width: number): Frame {
  const { kind, xs, series } = chart;
  const ends = series.flatMap(({ points }) => points.flatMap(({ y, y2 }) => [y, y2]));
  const values = ends.filter((end) => end !== null);
  // Of what is measured from the ground, the ground is in sight.
  if (series.some(({ mark, band }) => !band && (mark === "bar" || mark === "area"))) values.push(0);
  const yAxis = numberAxis(Math.min(...values), Math.max(...values), 5);
  const longest = Math.max(...yAxis.ticks.map(({ label }) => label.length));
  const left = Math.min(Math.ceil(longest * CHARACTER) + 14, width * 0.4);
  const { across, up } = namesOf(chart);
  const right = width - RIGHT;
  const top = TOP + (up === null ? 0 : LINE);
  const bottom = HEIGHT - BOTTOM - (across === null ? 0 : LINE);
  const room = right - left;
  const y = (value: number): number =>
    bottom - ((value - yAxis.from) / (yAxis.to - yAxis.from)) * (bottom - top);
  const common = { left, right, top, bottom, y, yAxis };
  if (kind === "ordinal") {
    const slot = room / xs.length;
    const x = (index: number): number => left + (index + 0.5) * slot;
    const labels = xs.map((one) => cut(String(one), LABEL));
    const widest = Math.max(...labels.map(({ length }) => length)) * CHARACTER + 10;
    const every = Math.max(1, Math.ceil(widest / slot));
    const all = labels.map((label, index) => ({ at: x(index), label }));
    return { ...common, x, slot, xTicks: all.filter((_, index) => index % every === 0) };
  }
  const at = xs.map(Number);
  const [first = 0, last = 0] = [at[0], at.at(-1)];
  const steps = at.slice(1).map((one, index) => one - (at[index] ?? 0));
  const step = steps.length > 0 ? Math.min(...steps) : 0;
  // The first and the last bar have their room as well.
  const pad = series.some(({ mark }) => mark === "bar") ? step / 2 : 0;
  const wanted = Math.max(2, Math.floor(room / 90));
  const axis = (kind === "temporal" ? timeAxis : numberAxis)(first - pad, last + pad, wanted);
  const place = (value: number): number =>
    left + ((value - axis.from) / (axis.to - axis.from)) * room;
  const xTicks = axis.ticks.map(({ at: one, label }) => ({ at: place(one), label }));
  const slot = step > 0 ? (step / (axis.to - axis.from)) * room : Math.min(room, 48);
  return { ...common, x: (index) => place(at[index] ?? 0), slot, xTicks };
}

function axes({ left, right, bottom, y, yAxis, xTicks }: Frame): SVGElement[] {
  const rows = yAxis.ticks.flatMap(({ at, label }) => [
    draw("line", { class: "chart-grid", x1: left, x2: right, y1: y(at), y2: y(at) }),
    words(label, { x: left - 8, y: y(at) + 4, "text-anchor": "end" }),
  ]);
  const columns = xTicks.flatMap(({ at, label }) => {
    // A label at an end stays within the picture.
    const half = (label.length * CHARACTER) / 2;
    const x = Math.min(Math.max(at, half + 2), right + RIGHT - half - 2);
    const foot = draw("line", { class: "chart-foot", x1: at, x2: at, y1: bottom, y2: bottom + 4 });
    return [foot, words(label, { x, y: bottom + 18, "text-anchor": "middle" })];
  });
  const ground = draw("line", { class: "chart-foot", x1: left, x2: right, y1: bottom, y2: bottom });
  return [...rows, ...columns, ground];
}

/** What the axes are called, where that is known. What several lines measure, the legend says. */
function namesOf({ field, series, titles }: Chart) {
  const [only] = series.length === 1 ? series : [];
  const up = only && [...titles.values()].includes(only.name) ? only.name : null;
  return { across: titles.get(field) ?? null, up };
}

function axisNames(chart: Chart, { left, right, top }: Frame): SVGElement[] {
  const { across, up } = namesOf(chart);
  const middle = { x: (left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle" };
  return [
    ...(across === null ? [] : [words(short(across), middle)]),
    ...(up === null ? [] : [words(short(up), { x: 2, y: top - LINE + 4 })]),
  ];
}

function marks({ series }: Chart, frame: Frame): SVGElement[] {
  const bars = series.filter(({ mark }) => mark === "bar");
  return series.flatMap((one) => {
    const group = draw("g", { class: `chart-${one.mark} ${classOf(one)}` });
    if (one.mark === "bar") group.append(...barsOf(one, frame, bars.indexOf(one), bars.length));
    else if (one.mark === "point") group.append(...one.points.flatMap((at) => dot(at, frame)));
    else for (const run of runsOf(one.points)) group.append(...strokeOf(run, one, frame));
    return group;
  });
}

function strokeOf(run: readonly Point[], { mark, band }: Series, frame: Frame): SVGElement[] {
  const { x, y, yAxis } = frame;
  const ground = Math.min(Math.max(0, yAxis.from), yAxis.to);
  const path = (points: readonly Point[], end: (point: Point) => number): string =>
    points.map((point) => `${round(x(point.x))},${round(y(end(point)))}`).join("L");
  const upper = path(run, (point) => point.y ?? 0);
  if (mark === "line" && run.length === 1) return run.flatMap((point) => dot(point, frame));
  if (mark === "line") return [draw("path", { d: `M${upper}` })];
  const lower = path(run.toReversed(), (point) => (band ? (point.y2 ?? 0) : ground));
  return [draw("path", { d: `M${upper}L${lower}Z` })];
}

function barsOf({ points }: Series, frame: Frame, at: number, of: number): SVGElement[] {
  const { x, y, yAxis, slot } = frame;
  const ground = Math.min(Math.max(0, yAxis.from), yAxis.to);
  const width = Math.max((slot * 0.8) / of, 0.5);
  return points.flatMap((point) => {
    if (point.y === null) return [];
    const [one, other] = [y(point.y), y(point.y2 ?? ground)];
    const left = x(point.x) + (at - of / 2) * width;
    const height = Math.max(Math.abs(one - other), 0.5);
    const box = { x: round(left), y: round(Math.min(one, other)), width: round(width) };
    return draw("rect", { ...box, height: round(height) });
  });
}

function dot({ x: index, y: value }: Point, { x, y }: Frame): SVGElement[] {
  if (value === null) return [];
  return [draw("circle", { cx: round(x(index)), cy: round(y(value)), r: RADIUS })];
}

/** The stretches between gaps. */
function runsOf(points: readonly Point[]): Point[][] {
  const runs: Point[][] = [[]];
  for (const point of points) {
    if (point.y === null) runs.push([]);
    else runs.at(-1)?.push(point);
  }
  return runs.filter(({ length }) => length > 0);
}

/** One series alone is what the title says. */
function legend(series: readonly Series[], label: string): HTMLElement[] {
  if (series.length < 2) return [];
  const entries = series.map((one) =>
    make("li", { dir: "auto" }, swatch(one), make("span", { textContent: short(one.name) })),
  );
  return [make("ul", { className: "chart-legend", ariaLabel: label }, ...entries)];
}

function swatch(series: Series): SVGElement {
  const sample =
    series.mark === "line"
      ? draw("path", { d: "M0,5L18,5" })
      : series.mark === "point"
        ? draw("circle", { cx: 9, cy: 5, r: RADIUS })
        : draw("rect", { x: 2, y: 0, width: 14, height: 10 });
  const group = draw("g", { class: `chart-${series.mark} ${classOf(series)}` }, sample);
  return draw("svg", { class: "chart-swatch", viewBox: "0 0 18 10", "aria-hidden": "true" }, group);
}

/** Its colour, and when these are used up, its line as well. */
function classOf({ colour, band }: Series): string {
  const dashed = colour >= COLOURS ? " chart-dashed" : "";
  return `series-${(colour % COLOURS) + 1}${dashed}${band ? " chart-band" : ""}`;
}

function valueAt({ points, band }: Series, index: number): string | null {
  const there = points.filter(({ x, y }) => x === index && y !== null);
  if (there.length === 0) return null;
  return there
    .slice(0, 5)
    .map(({ y, y2 }) => numberText(y ?? 0) + (band ? ` – ${numberText(y2 ?? 0)}` : ""))
    .join("; ");
}

const short = (text: string): string => cut(text, NAME);

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function words(text: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = draw("text", attributes);
  element.textContent = text;
  return element;
}

const round = (value: number): number => Math.round(value * 100) / 100;

function draw(
  tag: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: SVGElement[]
): SVGElement {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  element.append(...children);
  return element;
}

function set(element: Element, attributes: Readonly<Record<string, string | number>>): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}
