/**
 * Tells screen readers what happened: once that an answer begins, once how each of its tools has ended, once
 * the finished answer. Token by token would drown the listener.
 */
import type { Conversation, Message, RivuletClient, ToolCall } from "@rivulet/client";
import { byId } from "./element";
import { outcomeNote } from "./outcome";
import { textAlone } from "./pieces";
import { english, type Say } from "./say";
import { endText } from "./tool-words";

/** Tools that end within this time are told of together: of two texts at once only one is heard. */
const TOGETHER_MS = 500;

export class Announcer {
  readonly #region: HTMLElement;
  readonly #words: Say;
  readonly #pending = new Set<string>();
  /** Calls of tools that were seen at work. */
  readonly #working = new Set<string>();
  /** How calls have ended, as long as it was not told. */
  readonly #ended: string[] = [];
  /** The run that has begun and does nothing yet, as far as it was told: it may wait in line first. */
  #idle: string | null = null;

  constructor(client: RivuletClient, region = byId("announcer"), say: Say = english) {
    this.#region = region;
    this.#words = say;
    client.on("run.start", ({ run, message }) => {
      this.#pending.add(message);
      this.#idle = run;
    });
    client.on("snapshot", ({ runs }) => {
      for (const { message } of runs) this.#pending.add(message);
      this.#idle = runs.find(({ phase }) => phase === "queued")?.run ?? null;
    });
    client.on("run.phase", ({ run, phase }) => {
      if (phase !== "queued") this.#atWork(run);
    });
    client.on("delta", ({ run }) => this.#atWork(run));
    client.on("approval.resolved", ({ message, call }) => {
      const answer = client.conversation.messages.findLast(({ id }) => id === message);
      const tool = answer?.tools.find((one) => one.call === call);
      if (tool) this.#end(tool);
    });
    client.on("change", () => this.#announce(client.conversation));
  }

  /** Only answers that were seen being written: a reload does not read the whole history aloud. */
  #announce({ messages, runs }: Conversation): void {
    const finished: string[] = [];
    for (const id of this.#pending) {
      const answer = messages.findLast((message) => message.id === id);
      if (answer) this.#note(answer.tools);
      // An answer may also end while there is no connection: then it comes in a snapshot, without its
      // run. Once another conversation is open, nobody waits for it.
      if (answer?.run !== undefined && runs.has(answer.run)) continue;
      this.#pending.delete(id);
      if (answer) finished.push(summary(answer, this.#words));
    }
    if (this.#pending.size === 0) this.#working.clear();
    if (finished.length > 0) this.#say(finished.join(" "));
  }

  /** Each call is told of once, when it ends. */
  #note(tools: readonly ToolCall[]): void {
    for (const tool of tools) {
      if (tool.status === "running") this.#working.add(tool.call);
      else if (this.#working.delete(tool.call)) this.#end(tool);
    }
  }

  #end(tool: ToolCall): void {
    if (this.#ended.push(endText(tool, this.#words)) === 1)
      setTimeout(() => this.#tellEnded(), TOGETHER_MS);
  }

  #tellEnded(): void {
    if (this.#ended.length > 0) this.#say();
  }

  #atWork(run: string): void {
    if (run !== this.#idle) return;
    this.#idle = null;
    this.#say(this.#words("The answer is being written."));
  }

  /** Whatever is said takes along what tools have ended. */
  #say(text = ""): void {
    this.#region.textContent = [...this.#ended.splice(0), text].join(" ").trim();
  }
}

function summary(answer: Message, say: Say): string {
  const note = outcomeNote(answer, say);
  const count = answer.sources.length;
  const listed = count === 1 ? say("1 source listed.") : say("{0} sources listed.", count);
  const text = say("Answer: {0}", textAlone(answer.text, answer.tools));
  return `${text} ${note ?? ""}${count > 0 ? ` ${listed}` : ""}`;
}
