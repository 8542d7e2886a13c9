/** A line of what a number was in the last while. The number itself stands beside it, so it is for the eye alone. */
import type { Point } from "./history";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 240;
const HEIGHT = 48;
/** Room for the width of the line. */
const EDGE = 2;

export interface Frame {
  /** The right edge, in time. */
  readonly now: number;
  readonly spanMs: number;
}

/** The path of the line, from the left edge of `frame` to the right one; the highest point touches the top. */
export function linePath(points: readonly Point[], { now, spanMs }: Frame): string {
  const top = Math.max(...points.map(({ value }) => value), 0) || 1;
  const shown = points.filter(({ at }) => at >= now - spanMs);
  return shown
    .map(({ at, value }, i) => {
      const x = WIDTH * (1 - (now - at) / spanMs);
      const y = HEIGHT - EDGE - (value / top) * (HEIGHT - 2 * EDGE);
      return `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}

/** The same, closed along the bottom. */
export function areaPath(points: readonly Point[], frame: Frame): string {
  const line = linePath(points, frame);
  if (line === "") return "";
  const xs = [...line.matchAll(/[ML]([\d.-]+) /g)].map(([, x]) => x);
  return `${line}L${xs.at(-1)} ${HEIGHT}L${xs[0]} ${HEIGHT}Z`;
}

export class Sparkline {
  readonly element = document.createElementNS(SVG, "svg");
  readonly #area = document.createElementNS(SVG, "path");
  readonly #line = document.createElementNS(SVG, "path");

  constructor() {
    this.element.setAttribute("class", "spark");
    this.element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("aria-hidden", "true");
    this.#area.setAttribute("class", "spark-area");
    this.#line.setAttribute("class", "spark-line");
    this.element.append(this.#area, this.#line);
  }

  show(points: readonly Point[], frame: Frame): void {
    this.#line.setAttribute("d", linePath(points, frame));
    this.#area.setAttribute("d", areaPath(points, frame));
  }
}
