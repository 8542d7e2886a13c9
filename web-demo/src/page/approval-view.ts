/**
 * What is asked before a tool is run: with which arguments, who decides, and until when. All of the arguments are
 * shown, for nobody should approve what they cannot see; the gateway keeps them below 8 KiB.
 */
import type { Decision, ErrorFrame, ToolCall } from "@rivulet/client";
import type { Decide } from "./approvals";
import { make } from "./element";
import { errorText } from "./notices";
import { isOpen, toolTitle } from "./tool-words";

/** The longest time that a browser waits for. */
const LONGEST_MS = 2 ** 31 - 1;

export class ApprovalView {
  readonly root = make("div", { className: "approval" });
  readonly #decide: Decide;
  readonly #lapsed: () => void;
  readonly #question = make("p", { className: "approval-question" });
  readonly #args = make("div", { className: "approval-args", tabIndex: 0 });
  readonly #terms = make("p", { className: "approval-terms" });
  readonly #approve = this.#button("Approve", "approved");
  readonly #deny = this.#button("Deny", "denied");
  readonly #buttons = make("div", { className: "approval-buttons" }, this.#approve, this.#deny);
  readonly #problem = make("p", { className: "approval-problem", hidden: true });
  #shown: ToolCall | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** A decision is on its way. */
  #busy = false;

  /** `lapsed`: its time is over. */
  constructor(decide: Decide, lapsed: () => void) {
    this.#decide = decide;
    this.#lapsed = lapsed;
    this.root.setAttribute("role", "group");
    this.#args.setAttribute("role", "group");
    this.#args.setAttribute("aria-label", "What it will be given");
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
    this.root.setAttribute("aria-label", `Approval: ${title}`);
    this.#question.textContent = mine
      ? "Shall this be done? Nothing happens before you approve it."
      : "This waits for a colleague, who may approve it.";
    this.#args.replaceChildren(...listOf(args));
    this.#args.hidden = this.#args.childElementCount === 0;
    this.#terms.textContent = [who(approval.approver), until(approval.expires_at)].join(", ");
    this.#buttons.hidden = !mine;
    this.#problem.hidden = true;
    this.#setBusy(false);
  }

  #button(label: string, decision: Decision): HTMLButtonElement {
    const className = decision === "approved" ? "button button-strong" : "button";
    const button = make("button", { type: "button", className, textContent: label });
    button.addEventListener("click", () => this.#say(decision));
    return button;
  }

  #say(decision: Decision): void {
    const approval = this.#shown?.approval;
    if (this.#busy || approval === undefined) return;
    this.#problem.hidden = true;
    this.#setBusy(true);
    this.#decide(approval, decision, (error) => this.#refused(error));
  }

  #refused(error: ErrorFrame): void {
    this.#setBusy(false);
    this.#problem.textContent = errorText(error);
    this.#problem.hidden = false;
  }

  /** Not `disabled`: whoever has pressed a button by keyboard stays where they are. */
  #setBusy(busy: boolean): void {
    this.#busy = busy;
    for (const button of [this.#approve, this.#deny]) button.ariaDisabled = String(busy);
    this.root.ariaBusy = String(busy);
  }
}

function listOf(args: unknown): HTMLElement[] {
  if (args === undefined || args === null)
    return [make("p", {}, "Its arguments are too long to be shown.")];
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

function who(approver: string): string {
  if (approver === "user") return "You decide";
  const scope = approver.replace(/^scope:/, "");
  return `Whoever has “${scope}” decides`;
}

function until(moment: string): string {
  const then = new Date(moment);
  if (Number.isNaN(then.getTime())) return "at any time";
  const today = then.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit" } as const;
  return today
    ? `until ${then.toLocaleTimeString([], time)}`
    : `until ${then.toLocaleString([], { day: "numeric", month: "short", ...time })}`;
}
