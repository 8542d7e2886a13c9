/** The conversations in memory: whose they are and what goes on in them, never what is said. */
import { byId, make } from "../page/element";
import { type Rows, show, write } from "./rows";
import type { Session, Sessions } from "./wire";
import { amount, count, duration, phaseText } from "./words";

const cell = (className: string): HTMLElement => make("td", { className });

const ROWS: Rows<Session> = {
  key: ({ session }) => session,
  make: ({ session }) => {
    const who = make("th", { className: "who", scope: "row", title: session });
    who.append(
      make("span", { className: "who-user", dir: "auto" }),
      make("span", { className: "who-tenant" }),
    );
    const state = cell("state");
    state.append(make("span", { className: "chip" }), make("span", { className: "row-note" }));
    return make("tr", {}, who, state, cell("viewers number"), cell("unused number"));
  },
  update(row, { user, tenant, viewers, unused_s, run }) {
    write(row.querySelector(".who-user"), user ?? "Nobody in particular");
    write(row.querySelector(".who-tenant"), tenant ?? "");
    const chip = row.querySelector<HTMLElement>(".chip");
    if (chip) chip.dataset.mood = run ? "live" : "calm";
    write(chip, run ? phaseText(run.phase) : viewers > 0 ? "Watched" : "Idle");
    write(row.querySelector(".row-note"), run ? runNotes(run) : "");
    write(row.querySelector(".viewers"), amount(viewers));
    write(row.querySelector(".unused"), duration(unused_s));
  },
};

function runNotes({ model, age_s, written }: NonNullable<Session["run"]>): string {
  const parts = [model];
  if (age_s !== null) parts.push(`for ${duration(age_s)}`);
  if (written > 0) parts.push(`${amount(written)} characters`);
  return parts.join(", ");
}

export class SessionsView {
  readonly #rows = byId("sessions");
  readonly #note = byId("sessions-note");
  readonly #table = byId("sessions-table");

  show({ sessions, counts }: Sessions): void {
    show(this.#rows, sessions, ROWS);
    const more = counts.in_memory - sessions.length;
    this.#table.hidden = sessions.length === 0;
    this.#note.hidden = sessions.length > 0 && more <= 0;
    const text =
      more > 0
        ? `and ${count(more, "more conversation")} in memory`
        : "No conversation is in memory.";
    write(this.#note, text);
  }
}
