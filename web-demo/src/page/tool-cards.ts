/** The tools that were called at one place of an answer: a card each, with what was asked and what came of it. */
import type { ToolCall } from "@rivulet/client";
import { ApprovalView } from "./approval-view";
import type { Decide } from "./approvals";
import type { ArtifactServices, Files } from "./artifact-cards";
import { focusNear, make } from "./element";
import { apart } from "./faults";
import type { Say } from "./say";
import {
  decidedText,
  duration,
  progressText,
  statusNow,
  statusText,
  toolTitle,
} from "./tool-words";
import { valueView } from "./value-view";

/** What the cards need of the page around them. */
export interface CardServices extends ArtifactServices {
  readonly decide: Decide;
  /** Shows the calls at one place of an answer. */
  cards(services: CardServices): Cards;
  /** Shows the files that a call has made. */
  files(services: ArtifactServices): Files;
}

/** What shows calls of tools. */
export interface Cards {
  readonly root: HTMLElement;
  show(calls: readonly ToolCall[]): void;
}

export class ToolCards implements Cards {
  readonly root = make("ul", { className: "tools" });
  readonly #cards: ToolCard[] = [];
  readonly #services: CardServices;

  constructor(services: CardServices) {
    this.#services = services;
    this.root.setAttribute("aria-label", services.say("Tools"));
  }

  show(calls: readonly ToolCall[]): void {
    for (const { root } of this.#cards.splice(calls.length)) root.remove();
    calls.forEach((call, at) => {
      const card = this.#cards[at] ?? this.#newCard();
      apart(() => card.show(call));
    });
  }

  #newCard(): ToolCard {
    const card = new ToolCard(this.#services);
    this.#cards.push(card);
    this.root.append(card.root);
    return card;
  }
}

class ToolCard {
  readonly root: HTMLElement;
  readonly #title = make("span", { className: "tool-title" });
  /** A mark alone would be seen by some only. */
  readonly #status = make("span", { className: "tool-status", dir: "ltr" });
  readonly #summary = make("span", { className: "tool-summary" });
  readonly #time = make("span", { className: "tool-time", dir: "ltr" });
  readonly #more = make("div", { className: "tool-more" });
  /** Its direction is that of its title, and so of its marks; all else that others wrote has its own. */
  readonly #details = make("details", { className: "fold tool", dir: "auto" });
  readonly #line: HTMLElement;
  readonly #services: CardServices;
  #files: Files | null = null;
  #approval: ApprovalView | null = null;
  #shown: ToolCall | null = null;

  constructor(services: CardServices) {
    this.#services = services;
    const mark = make("span", { className: "tool-mark", ariaHidden: "true" });
    this.#line = make("summary", {}, mark, this.#title, this.#status, this.#summary, this.#time);
    // Before it opens: whoever hears of that finds all of it.
    this.#line.addEventListener("click", () => apart(() => this.#fill(!this.#details.open)));
    this.#details.append(this.#line, this.#more);
    this.root = make("li", {}, this.#details);
  }

  show(call: ToolCall): void {
    if (call === this.#shown) return;
    this.#shown = call;
    this.#paint(call);
    this.#fill(this.#details.open);
    const { artifacts = [] } = call;
    if (artifacts.length > 0 && this.#files === null) {
      this.#files = this.#services.files(this.#services);
      this.root.append(this.#files.root);
    }
    this.#files?.show(artifacts);
  }

  #paint(call: ToolCall): void {
    const { summary = "", ms = 0 } = call;
    const { say } = this.#services;
    const status = statusNow(call);
    this.#details.dataset.status = status;
    this.#title.textContent = toolTitle(call);
    this.#status.textContent = statusText(status, say);
    this.#status.classList.toggle("visually-hidden", status === "ok");
    this.#summary.textContent = summary || decidedText(call, say) || progressText(call);
    // None: it has not ended, or was not let to.
    this.#time.textContent = ms > 0 ? duration(ms) : "";
    this.#ask(call, status === "waiting");
  }

  /** What waits for a word asks for it, without being opened. */
  #ask(call: ToolCall, waits: boolean): void {
    if (waits && call.approval) {
      this.#approval ??= new ApprovalView(
        this.#services.decide,
        () => {
          if (this.#shown) this.#paint(this.#shown);
        },
        this.#services.say,
      );
      this.#approval.show(call);
      this.#details.after(this.#approval.root);
    } else if (this.#approval) {
      const focused = this.#approval.root.contains(focusNear(this.#approval.root));
      this.#approval.root.remove();
      this.#approval = null;
      if (focused) this.#line.focus({ preventScroll: true });
    }
  }

  /** Only what is open is made. */
  #fill(open: boolean): void {
    const call = this.#shown;
    if (!open || call === null) {
      this.#more.replaceChildren();
      return;
    }
    const { say } = this.#services;
    const { tool, args, data } = call;
    const name = make("code", { textContent: tool });
    this.#more.replaceChildren(
      make("p", { className: "tool-name", dir: "ltr" }, `${say("Tool")} `, name),
      ...(args === undefined ? [] : part(say("Arguments"), args, say)),
      ...(data === undefined ? [] : part(say("Result"), data, say)),
    );
  }
}

function part(title: string, value: unknown, say: Say): HTMLElement[] {
  return [
    make("p", { className: "tool-part", textContent: title, dir: "ltr" }),
    valueView(value, title, say),
  ];
}
