/**
 * An answer as the chunks of a UI message stream. It is given the answer as it is now, however often and over whatever sockets
 * that came to be, and says what is new: so nothing is said twice.
 */
import type { Message, SourceItem, ToolCall } from "@rivulet/client";
import type { FinishReason, UIMessageChunk } from "ai";

const REASONS: Readonly<Record<string, FinishReason>> = {
  complete: "stop",
  length: "length",
  filtered: "content-filter",
  awaiting_approval: "tool-calls",
};

export class Chunks {
  readonly #say: (chunk: UIMessageChunk) => void;
  /** Under which id the view has, or is to have, the message. */
  readonly #id: string | undefined;
  #started = false;
  #inStep = false;
  /** A tool was called in this step. */
  #called = false;
  /** The open part of text. */
  #part: string | null = null;
  #parts = 0;
  /** What was said of the text. */
  #said = "";
  /** Where the step begins in the text: nothing before it is ever taken back. */
  #base = 0;
  readonly #sources = new Set<number>();
  /** The tools' calls that were said, by what was said of them last. */
  readonly #calls = new Map<string, string>();
  #phase: string | undefined;

  /** `id`: of the message that goes on; by default the answer's own. */
  constructor(say: (chunk: UIMessageChunk) => void, id?: string) {
    this.#say = say;
    this.#id = id;
  }

  phase(phase: string, position?: number): void {
    const said = `${phase} ${position ?? ""}`;
    if (said === this.#phase) return;
    this.#phase = said;
    const data = { phase, ...(position !== undefined && { position }) };
    this.#say({ type: "data-phase", data, transient: true });
  }

  /** Of an earlier answer, whose calls have waited: what became of them. */
  decided(answer: Message): void {
    this.#start(answer);
    for (const call of answer.tools) {
      if (!this.#calls.has(call.call)) this.#calls.set(call.call, "waiting");
      this.#result(call);
    }
  }

  show(answer: Message): void {
    this.#start(answer);
    for (const source of answer.sources) this.#source(source);
    for (const call of answer.tools) {
      if (!this.#calls.has(call.call)) this.#call(answer, call);
      this.#result(call);
    }
    this.#text(answer.text);
  }

  end(answer: Message): void {
    this.show(answer);
    const { status, outcome } = answer;
    this.#endStep();
    if (status === "stopped") this.#say({ type: "abort", reason: "stopped" });
    else if (status === "error") this.#say({ type: "error", errorText: faultOf(answer) });
    else {
      const finishReason = REASONS[status] ?? "interrupted";
      const { usage, timing, citations } = outcome ?? {};
      const about = { status, verified: answer.verified, usage, timing, citations };
      this.#say({
        type: "finish",
        finishReason,
        messageMetadata: { ...modelOf(answer), ...about },
      });
    }
  }

  #start(answer: Message): void {
    if (this.#started) return;
    this.#started = true;
    const messageId = this.#id ?? answer.id;
    this.#say({
      type: "start",
      messageId,
      messageMetadata: { run: answer.run, ...modelOf(answer) },
    });
  }

  #source(source: SourceItem): void {
    if (this.#sources.has(source.n)) return;
    this.#sources.add(source.n);
    const { n, document, title, uri, snippet } = source;
    const providerMetadata = { rivulet: { n, document, snippet } };
    const sourceId = `${document}#${n}`;
    this.#say(
      uri && /^https?:/.test(uri)
        ? { type: "source-url", sourceId, url: uri, title, providerMetadata }
        : { type: "source-document", sourceId, mediaType: "text/plain", title, providerMetadata },
    );
  }

  #call(answer: Message, { call, tool, title, args, off }: ToolCall): void {
    this.#text(answer.text.slice(0, off));
    this.#endPart();
    this.#beginStep();
    const about = {
      toolCallId: call,
      toolName: tool,
      title,
      dynamic: true,
      providerExecuted: true,
    };
    this.#say({ type: "tool-input-available", ...about, input: args ?? {} });
    this.#calls.set(call, "running");
    this.#called = true;
  }

  #result({ call: toolCallId, status, summary, data, approval }: ToolCall): void {
    if (this.#calls.get(toolCallId) === status) return;
    this.#calls.set(toolCallId, status);
    const about = { toolCallId, dynamic: true, providerExecuted: true };
    if (status === "waiting" && approval)
      this.#say({ type: "tool-approval-request", approvalId: approval.id, toolCallId });
    // It is carried out by a call of its own, in the answer that goes on.
    else if (status === "approved")
      this.#say({ type: "tool-output-available", ...about, output: { status } });
    else if (status === "denied") this.#say({ type: "tool-output-denied", toolCallId });
    else if (status === "ok") {
      const output = data ?? summary ?? null;
      this.#say({ type: "tool-output-available", ...about, output });
    } else this.#say({ type: "tool-output-error", ...about, errorText: summary ?? status });
  }

  #text(text: string): void {
    if (!text.startsWith(this.#said)) {
      // Another model writes it anew from somewhere on: what was said in this step is withdrawn.
      if (this.#said.startsWith(text) && text.length < this.#base) return;
      this.#say({ type: "reset-step" });
      this.#part = null;
      this.#said = text.slice(0, this.#base);
    }
    const more = text.slice(this.#said.length);
    if (more === "") return;
    // Tools keep their step to themselves: what comes after them may be withdrawn, and they may not.
    if (this.#called) this.#endStep();
    this.#beginStep();
    if (this.#part === null) {
      this.#part = `text-${++this.#parts}`;
      this.#say({ type: "text-start", id: this.#part });
    }
    this.#say({ type: "text-delta", id: this.#part, delta: more });
    this.#said = text;
  }

  #beginStep(): void {
    if (this.#inStep) return;
    this.#inStep = true;
    this.#say({ type: "start-step" });
  }

  #endPart(): void {
    if (this.#part === null) return;
    this.#say({ type: "text-end", id: this.#part });
    this.#part = null;
  }

  #endStep(): void {
    this.#endPart();
    if (this.#inStep) this.#say({ type: "finish-step" });
    this.#inStep = false;
    this.#called = false;
    this.#base = this.#said.length;
  }
}

function modelOf({ model }: Message): { model?: string } {
  return model === undefined ? {} : { model };
}

function faultOf({ outcome }: Message): string {
  const error = outcome?.error;
  return (typeof error === "string" ? error : error?.message) ?? "The answer could not be written";
}
