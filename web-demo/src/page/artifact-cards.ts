/** The files that a tool has made: a card each, charts and tables with what is in them. */

import type { Artifact } from "@rivulet/client";
import { columnsOf, readCsv, toCsv } from "../charts/csv";
import { type Chart, cellOf, NotDrawable, readChart } from "../charts/spec";
import { Problem, problemText } from "../documents/problem";
import { sizeText } from "../documents/words";
import { ChartView } from "./chart-view";
import { make } from "./element";
import { throwLater } from "./faults";
import { canShow, fileName, save, tabFor } from "./save";
import type { Say } from "./say";
import { MOST_ROWS, tableView } from "./table-view";

/** What is larger is not read here, only saved. */
const LARGEST = 2 * 1024 * 1024;
/** How far below what is in sight a chart is fetched already. */
const AHEAD = "300px";

const CHART = "application/vnd.vegalite.v5+json";

/** What the cards need of the page around them. */
export interface ArtifactServices {
  /** Rejects with a `Problem`. */
  content(artifact: Artifact): Promise<Blob>;
  /** What the conversation scrolls in. */
  readonly log: Element;
  readonly say: Say;
  /** Changes what is in the conversation, and keeps in sight what is. */
  around(change: () => void): void;
}

/** What shows the files that a call has made. */
export interface Files {
  readonly root: HTMLElement;
  show(artifacts: readonly Artifact[]): void;
}

export class ArtifactCards implements Files {
  readonly root = make("ul", { className: "artifacts" });
  readonly #services: ArtifactServices;
  readonly #cards = new Map<string, ArtifactCard>();

  constructor(services: ArtifactServices) {
    this.#services = services;
    this.root.ariaLabel = services.say("Files");
  }

  /** A file never changes. */
  show(artifacts: readonly Artifact[]): void {
    for (const artifact of artifacts) {
      if (this.#cards.has(artifact.artifact)) continue;
      const card = new ArtifactCard(artifact, this.#services);
      this.#cards.set(artifact.artifact, card);
      this.root.append(card.root);
      card.load();
    }
  }
}

class ArtifactCard {
  readonly root: HTMLElement;
  readonly #artifact: Artifact;
  readonly #services: ArtifactServices;
  readonly #body = make("div", { className: "artifact-body", hidden: true });
  readonly #note = make("p", { className: "artifact-note", hidden: true });
  readonly #buttons = make("div", { className: "artifact-buttons" });
  #title: string;

  constructor(artifact: Artifact, services: ArtifactServices) {
    this.#artifact = artifact;
    this.#services = services;
    const { kind, media, bytes, title } = artifact;
    this.#title = title || services.say("File");
    const name = make("span", {
      className: "artifact-title",
      dir: "auto",
      textContent: this.#title,
    });
    const size = make("span", { className: "artifact-size", textContent: sizeText(bytes) });
    const line = make("div", { className: "artifact-line" }, name, size, this.#buttons);
    this.#note.setAttribute("role", "status");
    this.root = make("li", { className: "artifact" }, line, this.#note, this.#body);
    this.root.dataset.kind = kind;
    if (canShow(media)) this.#add(services.say("Open"), () => this.#open());
    if (media !== CHART) this.#add(services.say("Download"), () => this.#download());
  }

  /** Charts and tables are read when they come into sight. */
  load(): void {
    const { kind, bytes } = this.#artifact;
    if ((kind !== "chart" && kind !== "table") || bytes > LARGEST) return;
    this.#body.hidden = false;
    this.root.dataset.loading = "";
    const read = (): void => void this.#read();
    if (typeof IntersectionObserver === "undefined") {
      read();
      return;
    }
    const seen = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        seen.disconnect();
        read();
      },
      { root: this.#services.log, rootMargin: AHEAD },
    );
    seen.observe(this.root);
  }

  async #read(): Promise<void> {
    try {
      const text = await (await this.#services.content(this.#artifact)).text();
      this.#change(() => {
        if (this.#artifact.kind === "chart") this.#showChart(readChart(text));
        else this.#showTable(text);
      });
    } catch (error) {
      this.#change(() => {
        this.#body.hidden = true;
        this.#fail(error);
        // Not that it is over: that can be tried again.
        if (!isGone(error) && !(error instanceof NotDrawable)) this.#offerAgain();
      });
    }
  }

  #change(step: () => void): void {
    this.#services.around(() => {
      delete this.root.dataset.loading;
      step();
    });
  }

  #showChart(chart: Chart): void {
    const { say } = this.#services;
    const title = chart.title || this.#title;
    this.#title = title;
    this.root.querySelector(".artifact-title")?.replaceChildren(title);
    const columns = columnsOf(chart.rows);
    const rows = chart.rows.slice(0, MOST_ROWS);
    const cells = rows.map((row) => columns.map((name) => String(cellOf(row, name) ?? "")));
    const header = columns.map((name) => chart.titles.get(name) ?? name);
    const table = tableView(say("{0}: table", title), header, cells, chart.rows.length, say);
    table.hidden = true;
    const toggle = this.#add(say("As table"), () => {
      table.hidden = !table.hidden;
      toggle.ariaExpanded = String(!table.hidden);
      // What the reader has opened is read where it is.
      this.root.dispatchEvent(new Event("toggle"));
    });
    toggle.ariaExpanded = "false";
    this.#add(say("As CSV"), () => {
      const csv = new Blob([toCsv(chart.rows, chart.titles)], { type: "text/csv" });
      save(csv, fileName(title, "text/csv"));
    });
    this.#body.replaceChildren(new ChartView(chart, title, say).root, table);
  }

  #showTable(text: string): void {
    const { header, rows, total } = readCsv(text, MOST_ROWS);
    this.#body.replaceChildren(tableView(this.#title, header, rows, total, this.#services.say));
  }

  #open(): void {
    const tab = tabFor(this.#artifact.media);
    void this.#with(
      (content) => (tab ? tab.show(content) : this.#save(content)),
      () => tab?.close(),
    );
  }

  #download(): void {
    void this.#with((content) => this.#save(content));
  }

  #save(content: Blob): void {
    save(content, fileName(this.#title, this.#artifact.media));
  }

  /** By a request of the page: a link alone would not say who asks. */
  async #with(use: (content: Blob) => void, failed: () => void = () => {}): Promise<void> {
    this.#setBusy(true);
    try {
      use(await this.#services.content(this.#artifact));
      this.#note.hidden = true;
    } catch (error) {
      failed();
      this.#fail(error);
    }
    this.#setBusy(false);
  }

  #fail(error: unknown): void {
    this.#note.textContent = reason(error, this.#services.say);
    this.#note.hidden = false;
    if (isGone(error)) this.#buttons.replaceChildren();
    if (!(error instanceof Problem) && !(error instanceof NotDrawable)) throwLater(error);
  }

  #offerAgain(): void {
    const again = this.#add(this.#services.say("Try again"), () => {
      again.remove();
      this.#note.hidden = true;
      this.load();
    });
  }

  #add(label: string, act: () => void): HTMLButtonElement {
    const button = make("button", { type: "button", className: "copy", textContent: label });
    button.ariaLabel = `${label}: ${this.#title}`;
    button.addEventListener("click", () => {
      if (button.ariaDisabled !== "true") act();
    });
    this.#buttons.append(button);
    return button;
  }

  /** Not `disabled`: whoever has pressed one by keyboard stays where they are. */
  #setBusy(busy: boolean): void {
    for (const button of this.#buttons.querySelectorAll("button"))
      button.ariaDisabled = String(busy);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Problem && error.status === 404;
}

function reason(error: unknown, say: Say): string {
  if (isGone(error)) return say("Expired: this file is not kept any more. Ask for it again.");
  if (error instanceof NotDrawable) return `${say("This cannot be drawn.")} ${error.message}.`;
  return problemText(error);
}
