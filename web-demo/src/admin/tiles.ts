/** The numbers at the top, each with what it was in the last while. */
import { make } from "../page/element";
import {
  answers,
  firstToken,
  type History,
  KEPT_MS,
  type Reading,
  sessions,
  tokensPerSecond,
  viewers,
} from "./history";
import { write } from "./rows";
import { Sparkline } from "./sparkline";
import type { Stats } from "./wire";
import { amount, count, wait } from "./words";

/** A rate is of so long: of one round it would dance. */
const RATE_MS = 6_000;
const MINUTE_MS = 60_000;

interface Told {
  number: string;
  unit: string;
  /** What else there is to know, below. */
  note: string;
}

interface TileKind {
  readonly name: string;
  readonly reading: Reading;
  /** Where the whole gateway is seen only. */
  readonly whole: boolean;
  tell(history: History, stats: Stats): Told;
}

const highest = (history: History, reading: Reading): number =>
  Math.max(0, ...history.series(reading).map(({ value }) => value));

const peak = (history: History, reading: Reading): string =>
  `at most ${amount(highest(history, reading))} in 15 min`;

const TILES: readonly TileKind[] = [
  {
    name: "Tokens",
    reading: tokensPerSecond,
    whole: true,
    tell: (history) => ({
      number: amount(Math.round(history.over(tokensPerSecond, RATE_MS) ?? 0)),
      unit: "per second",
      note: peak(history, tokensPerSecond),
    }),
  },
  {
    name: "First token",
    reading: firstToken,
    whole: true,
    tell: (history) => {
      const mean = history.over(firstToken, KEPT_MS);
      const recent = history.over(firstToken, MINUTE_MS);
      if (mean === null) return { number: "–", unit: "", note: "no answer in 15 min" };
      const long = wait(mean);
      const note = `${long.number} ${long.unit} on average in 15 min`;
      return { ...wait(recent ?? mean), note };
    },
  },
  {
    name: "Answers under way",
    reading: answers,
    whole: false,
    tell: (history, { gateway, sessions: { busy } }) => ({
      number: amount(gateway?.runs.active ?? busy),
      unit: "",
      note: peak(history, answers),
    }),
  },
  {
    name: "Conversations",
    reading: sessions,
    whole: false,
    tell: (_, { sessions: { in_memory, watched } }) => ({
      number: amount(in_memory),
      unit: "",
      note: `${amount(watched)} watched`,
    }),
  },
  {
    name: "Viewers",
    reading: viewers,
    whole: false,
    tell: (_, { gateway, sessions: { viewers: number } }) => ({
      number: amount(number),
      unit: "",
      note: gateway ? count(gateway.sockets, "open socket") : "",
    }),
  },
];

class Tile {
  readonly kind: TileKind;
  readonly element: HTMLElement;
  readonly #number = make("span", { className: "tile-number" });
  readonly #unit = make("span", { className: "tile-unit" });
  readonly #note = make("p", { className: "tile-note" });
  readonly #spark = new Sparkline();

  constructor(kind: TileKind) {
    this.kind = kind;
    const value = make("p", { className: "tile-value" }, this.#number, " ", this.#unit);
    const name = make("h3", { textContent: kind.name });
    this.element = make("li", { className: "tile" }, name, value, this.#note);
    this.element.append(this.#spark.element);
  }

  show(history: History, stats: Stats, now: number): void {
    this.element.hidden = this.kind.whole && stats.gateway === null;
    const { number, unit, note } = this.kind.tell(history, stats);
    write(this.#number, number);
    write(this.#unit, unit);
    write(this.#note, note);
    this.#spark.show(history.series(this.kind.reading), { now, spanMs: history.span(now) });
  }
}

export class Tiles {
  readonly #tiles = TILES.map((kind) => new Tile(kind));

  constructor(place: HTMLElement) {
    place.append(...this.#tiles.map(({ element }) => element));
  }

  show(history: History, stats: Stats, now: number): void {
    for (const tile of this.#tiles) tile.show(history, stats, now);
  }
}
