/** Work on the documents of the tenant: what is under way, and what was done last. */
import { byId, make } from "../page/element";
import { type Rows, show, write } from "./rows";
import type { Job, Stats } from "./wire";
import { count, type Mood, moment } from "./words";

const KIND: Readonly<Record<string, string>> = {
  index: "A document into the index",
  delete: "A document out of it",
  drop: "A collection out of it",
};

const MOOD: Readonly<Record<string, Mood | "live">> = {
  queued: "calm",
  running: "live",
  done: "good",
  failed: "bad",
  cancelled: "warn",
};

const ROWS: Rows<Job> = {
  key: ({ job }) => job,
  make: () =>
    make(
      "li",
      { className: "row" },
      make("span", { className: "row-name" }),
      make("span", { className: "chip" }),
      make("span", { className: "row-note", dir: "auto" }),
    ),
  update(row, { kind, state, stage, collection, done, total, error, updated_at }) {
    write(row.querySelector(".row-name"), KIND[kind] ?? kind.replaceAll("_", " "));
    const chip = row.querySelector<HTMLElement>(".chip");
    if (chip) chip.dataset.mood = MOOD[state] ?? "calm";
    write(chip, state.charAt(0).toUpperCase() + state.slice(1));
    const parts = [collection];
    if (state === "running" && stage)
      parts.push(total > 0 ? `${stage} ${done} of ${total}` : stage);
    if (error) parts.push(error.detail);
    parts.push(moment(updated_at));
    write(row.querySelector(".row-note"), parts.join(" · "));
  },
};

export class JobsView {
  readonly #list = byId("jobs");
  readonly #note = byId("jobs-note");
  readonly #whole = byId("jobs-whole");

  show(jobs: readonly Job[]): void {
    show(this.#list, jobs, ROWS);
    this.#note.hidden = jobs.length > 0;
  }

  showWhole({ gateway }: Stats): void {
    const known = gateway?.knowledge;
    this.#whole.hidden = !known;
    if (!known) return;
    const { jobs, documents, chunks } = known;
    const all = Object.values(documents).reduce((sum, number) => sum + number, 0);
    const text = `${count(all, "document")} with ${count(chunks, "passage")}; ${jobs.running} at work, ${jobs.queued} waiting`;
    write(this.#whole, text);
  }
}
