/** Tables that somebody brings to the conversation: a card each above the message box, with what is in them. */

import type { Assistant, RivuletClient } from "@rivulet/client";
import { type Dataset, isTable, sendTable, TABLES, takesTables } from "../documents/datasets";
import { problemText } from "../documents/problem";
import { counted } from "../documents/words";
import { byId, make } from "./element";
import type { StatusVoice } from "./status-voice";
import { tableView } from "./table-view";

/** The most of one drop. */
const MOST_FILES = 10;
const TOPIC = "datasets";

export class DatasetCards {
  readonly #client: RivuletClient;
  readonly #current: () => Assistant | undefined;
  readonly #voice: StatusVoice;
  readonly #attach = byId<HTMLButtonElement>("attach");
  readonly #list = byId("datasets");

  /** `current`: who answers, as far as that is known. */
  constructor(client: RivuletClient, current: () => Assistant | undefined, voice: StatusVoice) {
    this.#client = client;
    this.#current = current;
    this.#voice = voice;
    const input = byId<HTMLInputElement>("table-files");
    input.accept = TABLES.join(",");
    this.#attach.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.take([...(input.files ?? [])]);
      // The same file can be chosen again.
      input.value = "";
    });
    // Another conversation, and perhaps somebody else's.
    client.on("welcome", ({ recovered }) => {
      if (recovered === "new") this.#list.replaceChildren();
    });
  }

  get takes(): boolean {
    return takesTables(this.#current());
  }

  paint(): void {
    this.#attach.hidden = !this.takes;
  }

  /** Sends what are tables, and gives back the others; where tables are of no use, all. */
  take<Kind extends File>(files: readonly Kind[]): Kind[] {
    if (!this.takes) return [...files];
    const tables = files.filter((file) => isTable(file));
    for (const file of tables.slice(0, MOST_FILES)) void this.#send(file);
    if (tables.length > MOST_FILES) {
      const note = make("li", { className: "dataset" });
      note.append(make("p", {}, `Only ${MOST_FILES} of ${tables.length} tables were taken.`));
      this.#list.append(note);
    }
    return files.filter((file) => !isTable(file));
  }

  async #send(file: File): Promise<void> {
    const facts = make("p", { className: "dataset-facts", textContent: "On its way" });
    const name = make("p", { className: "dataset-name", dir: "auto", textContent: file.name });
    const away = make("button", { type: "button", className: "copy", textContent: "Dismiss" });
    away.ariaLabel = `Dismiss: ${file.name}`;
    const card = make("li", { className: "dataset" }, name, facts, away);
    away.addEventListener("click", () => {
      card.remove();
      byId("composer-text").focus();
    });
    this.#list.append(card);
    try {
      const dataset = await sendTable(this.#client.endpoint, file);
      name.textContent = dataset.name;
      facts.textContent = factsOf(dataset);
      away.before(columnsOf(dataset));
      this.#voice.say(TOPIC, `${dataset.name} can be asked about: ${factsOf(dataset)}.`);
    } catch (error) {
      card.dataset.failed = "";
      facts.textContent = problemText(error);
      this.#voice.say(TOPIC, `${file.name}: ${problemText(error)}`);
    }
  }
}

function factsOf({ rows, columns, period }: Dataset): string {
  return [
    counted(rows, "row"),
    counted(columns.length, "column"),
    period && `${period.from} to ${period.to}`,
  ]
    .filter((fact) => typeof fact === "string")
    .join(" · ");
}

/** What is in it, on demand. */
function columnsOf({ name, columns }: Dataset): HTMLElement {
  const header = ["Column", "Kind", "Missing", "Least", "Most"];
  const rows = columns.map(({ name: column, type, missing, min, max }) =>
    [column, type, missing, min, max].map((cell) => String(cell ?? "")),
  );
  const table = tableView(`Columns of ${name}`, header, rows, rows.length);
  return make("details", {}, make("summary", {}, "Columns"), table);
}
