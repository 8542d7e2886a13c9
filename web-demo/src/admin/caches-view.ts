/** How much is known already when it is asked for. */
import { byId, make } from "../page/element";
import { type Rows, show, write } from "./rows";
import type { Cache } from "./wire";
import { amount, count } from "./words";

const NAME: Readonly<Record<string, string>> = {
  answers: "Answers",
  embeddings: "Meanings of questions",
  retrieval: "Searches",
};

/** Of those who looked, the share that found something; `null` when nobody looked. */
export function hitShare({ hits, joined, misses }: Cache): number | null {
  const looks = hits + joined + misses;
  return looks === 0 ? null : (hits + joined) / looks;
}

const ROWS: Rows<Cache> = {
  key: ({ name }) => name,
  make: ({ name }) => {
    const meter = make("progress", { className: "meter", max: 1 });
    meter.setAttribute("aria-label", `${NAME[name] ?? name}: found already`);
    return make(
      "li",
      { className: "row" },
      make("span", { className: "row-name", textContent: NAME[name] ?? name }),
      make("span", { className: "row-figure" }),
      meter,
      make("span", { className: "row-note" }),
    );
  },
  update(row, cache) {
    const share = hitShare(cache);
    const meter = row.querySelector("progress");
    if (meter) {
      meter.value = share ?? 0;
      meter.hidden = !cache.enabled;
    }
    const figure = !cache.enabled ? "off" : share === null ? "–" : `${Math.round(share * 100)} %`;
    write(row.querySelector(".row-figure"), figure);
    const { enabled, entries, capacity, hits, joined, misses } = cache;
    const looks = count(hits + joined + misses, "look");
    const note = enabled ? `${looks}, ${amount(entries)} of ${amount(capacity)} places taken` : "";
    write(row.querySelector(".row-note"), note);
  },
};

export class CachesView {
  readonly #list = byId("caches");

  show(caches: readonly Cache[]): void {
    show(this.#list, caches, ROWS);
  }
}
