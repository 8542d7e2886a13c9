/** What people thought of answers: by the day as bars, good above and bad below the line, and by the model. */
import { byId, make } from "../page/element";
import { FEEDBACK_DAYS } from "./api";
import { show, write } from "./rows";
import type { FeedbackCount } from "./wire";
import { count } from "./words";

const SVG = "http://www.w3.org/2000/svg";
const BAR = 10;
const GAP = 4;
const HALF = 40;
const DAY_MS = 86_400_000;

export interface Tally {
  readonly name: string;
  readonly good: number;
  readonly bad: number;
}

/** Of each of the last days, the oldest first; days without any are there, too. */
export function byDay(feedback: readonly FeedbackCount[], days: number, today: Date): Tally[] {
  return Array.from({ length: days }, (_, i) => {
    const day = new Date(today.getTime() - (days - 1 - i) * DAY_MS).toISOString().slice(0, 10);
    return tally(
      day,
      feedback.filter((row) => row.day === day),
    );
  });
}

/** Of each model, those with most first. */
export function byModel(feedback: readonly FeedbackCount[]): Tally[] {
  const models = [...new Set(feedback.map(({ model }) => model))];
  return models
    .map((model) =>
      tally(
        model ?? "not known",
        feedback.filter((row) => row.model === model),
      ),
    )
    .sort((a, b) => b.good + b.bad - a.good - a.bad);
}

function tally(name: string, rows: readonly FeedbackCount[]): Tally {
  const sum = (of: (row: FeedbackCount) => number): number =>
    rows.reduce((all, row) => all + of(row), 0);
  return { name, good: sum(({ good }) => good), bad: sum(({ bad }) => bad) };
}

export class FeedbackView {
  readonly #chart = byId("feedback-chart");
  readonly #models = byId("feedback-models");
  readonly #table = byId("feedback-table");
  readonly #note = byId("feedback-note");

  show(feedback: readonly FeedbackCount[], today = new Date()): void {
    const days = byDay(feedback, FEEDBACK_DAYS, today);
    const all = tally("", feedback);
    const none = all.good + all.bad === 0;
    this.#note.hidden = !none;
    this.#chart.hidden = none;
    this.#table.hidden = none;
    if (none) return;
    const bars = chart(days);
    bars.setAttribute("role", "img");
    const told = `${count(all.good, "good answer")} and ${count(all.bad, "bad one")} in ${FEEDBACK_DAYS} days`;
    bars.setAttribute("aria-label", told);
    const label = make("p", { className: "row-note", textContent: told });
    this.#chart.replaceChildren(bars, label);
    show(this.#models, byModel(feedback), {
      key: ({ name }) => name,
      make: ({ name }) =>
        make(
          "tr",
          {},
          make("th", { scope: "row", textContent: name, dir: "auto" }),
          make("td", { className: "good number" }),
          make("td", { className: "bad number" }),
          make("td", { className: "share number" }),
        ),
      update(row, { good, bad }) {
        write(row.querySelector(".good"), String(good));
        write(row.querySelector(".bad"), String(bad));
        write(row.querySelector(".share"), `${Math.round((good / (good + bad)) * 100)} %`);
      },
    });
  }
}

/** However few there are, they can be seen. */
const height = (number: number, most: number): number =>
  number === 0 ? 0 : Math.max(2, (HALF * number) / most);

function chart(days: readonly Tally[]): SVGElement {
  const most = Math.max(1, ...days.flatMap(({ good, bad }) => [good, bad]));
  const drawing = document.createElementNS(SVG, "svg");
  const width = days.length * (BAR + GAP) - GAP;
  const [up, down] = [
    height(Math.max(...days.map(({ good }) => good)), most),
    height(Math.max(...days.map(({ bad }) => bad)), most),
  ];
  drawing.setAttribute("viewBox", `0 ${-up - 1} ${width} ${up + down + 2}`);
  drawing.setAttribute("class", "bars");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("class", "bars-line");
  line.setAttribute("d", `M0 0H${width}`);
  drawing.append(line);
  for (const [i, { name, good, bad }] of days.entries()) {
    const group = document.createElementNS(SVG, "g");
    const title = document.createElementNS(SVG, "title");
    title.textContent = `${name}: ${good} good, ${bad} bad`;
    group.append(title);
    for (const [kind, number] of [
      ["good", good],
      ["bad", bad],
    ] as const) {
      if (number === 0) continue;
      const high = height(number, most);
      const bar = document.createElementNS(SVG, "rect");
      bar.setAttribute("class", `bar-${kind}`);
      bar.setAttribute("x", String(i * (BAR + GAP)));
      bar.setAttribute("y", String(kind === "good" ? -high - 0.5 : 0.5));
      bar.setAttribute("width", String(BAR));
      bar.setAttribute("height", high.toFixed(1));
      bar.setAttribute("rx", "2");
      group.append(bar);
    }
    drawing.append(group);
  }
  return drawing;
}
