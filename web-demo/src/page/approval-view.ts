/**
 * What is asked before a tool is run: with which arguments, who decides, and until when. All of the arguments are
 * shown, for nobody should approve what they cannot see; the gateway keeps them below 8 KiB.
 */
import type { Decision, ErrorFrame, ToolCall } from "@rivulet/client";
import type { Decide } from "./approvals";
import { make } from "./element";
import { errorText } from "./notices";
import { english, type Say } from "./say";
import { isOpen, toolTitle } from "./tool-words";

/** The longest time that a browser waits for. */
const LONGEST_MS = 2 ** 31 - 1;

export class ApprovalView {
  readonly root = make("div", { className: "approval" });
  readonly #decide: Decide;
  readonly #lapsed: () => void;
  readonly #say: Say;
  readonly #question = make("p", { className: "approval-question" });
  readonly #args = make("div", { className: "approval-args", tabIndex: 0 });
  readonly #terms = make("p", { className: "approval-terms" });
  readonly #approve: HTMLButtonElement;
  readonly #deny: HTMLButtonElement;
  readonly #buttons = make("div", { className: "approval-buttons" });
  readonly #problem = make("p", { className: "approval-problem", hidden: true });
  #shown: ToolCall | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** A decision is on its way. */
  #busy = false;

  /** `lapsed`: its time is over. */
  constructor(decide: Decide, lapsed: () => void, say: Say = english) {
    this.#say = say;
    this.#approve = this.#button(say("Approve"), "approved");
    this.#deny = this.#button(say("Deny"), "denied");
    this.#buttons.append(this.#approve, this.#deny);
    this.#decide = decide;
    this.#lapsed = lapsed;
    this.root.setAttribute("role", "group");
    this.#args.setAttribute("role", "group");
    this.#args.setAttribute("aria-label", say("What it will be given"));
    this.#problem.setAttribute("role", "alert");
    this.root.append(this.#question, this.#args, this.#terms, this.#problem, this.#buttons);
  }

  /** Only of a call that waits. */
  show(call: ToolCall): void {
    const { approval, args } = call;
    if (approval === undefined) return;
    clearTimeout(this.#timer);
    if (!isOpen(call)) return;
    const same = this.#shown?.approval?.id === approval.id;
    this.#shown = call;
    const title = toolTitle(call);
    const left = Date.parse(approval.expires_at) - Date.now();
    if (left > 0) this.#timer = setTimeout(this.#lapsed, Math.min(left, LONGEST_MS));
    if (same) return;
    const mine = approval.approver === "user";
    this.root.setAttribute("aria-label", this.#say("Approval: {0}", title));
    this.#question.textContent = mine
      ? this.#say("Shall this be done? Nothing happens before you approve it.")
      : this.#say("This waits for a colleague, who may approve it.");
    this.#args.replaceChildren(...listOf(args, this.#say));
    this.#args.hidden = this.#args.childElementCount === 0;
    this.#terms.textContent = [
      who(approval.approver, this.#say),
      until(approval.expires_at, this.#say),
    ].join(", ");
    this.#buttons.hidden = !mine;
    this.#problem.hidden = true;
    this.#setBusy(false);
  }

  #button(label: string, decision: Decision): HTMLButtonElement {
    const className = decision === "approved" ? "button button-strong" : "button";
    const button = make("button", { type: "button", className, textContent: label });
    button.addEventListener("click", () => this.#decided(decision));
    return button;
  }

  #decided(decision: Decision): void {
    const approval = this.#shown?.approval;
    if (this.#busy || approval === undefined) return;
    this.#problem.hidden = true;
    this.#setBusy(true);
    this.#decide(approval, decision, (error) => this.#refused(error));
  }

  #refused(error: ErrorFrame): void {
    this.#setBusy(false);
    this.#problem.textContent = errorText(error, this.#say);
    this.#problem.hidden = false;
  }

  /** Not `disabled`: whoever has pressed a button by keyboard stays where they are. */
  #setBusy(busy: boolean): void {
    this.#busy = busy;
    for (const button of [this.#approve, this.#deny]) button.ariaDisabled = String(busy);
    this.root.ariaBusy = String(busy);
  }
}

function listOf(args: unknown, say: Say): HTMLElement[] {
  if (args === undefined || args === null)
    return [make("p", {}, say("Its arguments are too long to be shown."))];
  if (typeof args !== "object" || Array.isArray(args)) return [words(args)];
  const entries = Object.entries(args).flatMap(([name, value]) => [
    make("dt", { dir: "auto", textContent: name }),
    make("dd", {}, words(value)),
  ]);
  return entries.length > 0 ? [make("dl", {}, ...entries)] : [];
}

function words(value: unknown): HTMLElement {
  const isPlain = typeof value !== "object" || value === null;
  const text = isPlain ? String(value) : JSON.stringify(value, null, 2);
  return make(isPlain ? "span" : "pre", { dir: isPlain ? "auto" : "ltr", textContent: text });
}

function who(approver: string, say: Say): string {
  if (approver === "user") return say("You decide");
  const scope = approver.replace(/^scope:/, "");
  return say("Whoever has “{0}” decides", scope);
}

function until(moment: string, say: Say): string {
  const then = new Date(moment);
  if (Number.isNaN(then.getTime())) return say("at any time");
  const today = then.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit" } as const;
  const words = today
    ? then.toLocaleTimeString([], time)
    : then.toLocaleString([], { day: "numeric", month: "short", ...time });
  return say("until {0}", words);
}
