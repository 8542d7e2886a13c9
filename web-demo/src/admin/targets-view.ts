/** The servers of models, in the order in which they are asked. */
import { byId, make } from "../page/element";
import { type Rows, show, write } from "./rows";
import type { Stats, Target } from "./wire";
import { amount, targetState } from "./words";

const ROWS: Rows<Target> = {
  key: ({ name }) => name,
  make: () =>
    make(
      "li",
      { className: "row" },
      make("span", { className: "row-name", dir: "auto" }),
      make("span", { className: "chip" }),
      make("span", { className: "row-note" }),
    ),
  update(row, target) {
    const { name, model } = target;
    const { text, mood } = targetState(target);
    write(row.querySelector(".row-name"), name === model ? name : `${name} · ${model}`);
    const chip = row.querySelector<HTMLElement>(".chip");
    if (chip) chip.dataset.mood = mood;
    write(chip, text);
    write(row.querySelector(".row-note"), notes(target));
  },
};

function notes({ last_failure, requests_left, tokens_left, failures }: Target): string {
  const parts: string[] = [];
  if (failures > 0 && last_failure)
    parts.push(`last failure: ${last_failure.replaceAll("_", " ")}`);
  if (requests_left !== null) parts.push(`${amount(requests_left)} requests left`);
  if (tokens_left !== null) parts.push(`${amount(tokens_left)} tokens left`);
  return parts.join(", ");
}

export class TargetsView {
  readonly #list = byId("targets");
  readonly #note = byId("targets-note");

  show({ model }: Stats): void {
    show(this.#list, model.targets, ROWS);
    const alone = model.targets.length === 0;
    this.#note.hidden = !alone;
    write(this.#note, `${model.model} answers by itself, without any server.`);
  }
}
