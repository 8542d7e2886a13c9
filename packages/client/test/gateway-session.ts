/** The log of one conversation in the test gateway, and the answer that a test writes into it. */
import { randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";
import type { AnswerMemory, Approval, ToolCall, ToolProgress } from "@rivulet/client";

/** A longer frame closes the socket. */
export const FRAME_BYTES = 65_536;

type Send = (frame: object) => void;

interface Logged {
  seq: number;
  type: string;
  run?: string;
  [field: string]: unknown;
}

interface Stored {
  id: string;
  role: string;
  text: string;
  status: string;
  run: string;
  tools?: ToolCall[];
  replaces?: string;
  feedback?: object;
}

/** What a socket knows of the others. */
interface Viewer {
  typing: boolean;
  told: string;
}

export class GatewaySession {
  readonly id: string;
  /** Who answers in it. */
  readonly assistant: string;
  epoch = randomUUID().slice(0, 8);
  readonly log: Logged[] = [];
  readonly messages: Stored[] = [];
  readonly texts = new Map<string, string>();
  live: Answer | null = null;
  readonly #waiting: { answer: Answer; begun: () => void; more: object }[] = [];
  readonly #viewers = new Map<Send, Viewer>();

  /** Whether nothing of it is remembered. */
  readonly temporary: boolean;

  constructor(id: string, assistant: string, temporary = false) {
    this.id = id;
    this.assistant = assistant;
    this.temporary = temporary;
  }

  attach(send: Send, cursor: string | null, heartbeatSeconds: number): void {
    const [epoch, seq = "0", run, off = "0"] = cursor?.split(":") ?? [];
    const known = epoch === this.epoch;
    const recovered = known ? "full" : this.log.length > 0 ? "snapshot" : "new";
    send({
      type: "welcome",
      protocol: "chat.v1",
      session: this.id,
      epoch: this.epoch,
      seq: this.log.length,
      recovered,
      assistant: this.assistant,
      ...(this.temporary && { temporary: true }),
      heartbeat_s: heartbeatSeconds,
      limits: { frame_bytes: FRAME_BYTES, text_chars: 16_384 },
    });
    if (recovered === "snapshot") this.#snapshot(send);
    if (recovered === "full") this.#replay(send, Number(seq), run, Number(off));
    this.#viewers.set(send, { typing: false, told: presence(1, false) });
    this.#tellPresence();
  }

  detach(send: Send): void {
    this.#viewers.delete(send);
    this.#tellPresence();
  }

  typing(send: Send, on: boolean): void {
    const viewer = this.#viewers.get(send);
    if (viewer) viewer.typing = on;
    this.#tellPresence();
  }

  #tellPresence(): void {
    for (const [send, viewer] of this.#viewers) {
      const others = [...this.#viewers.values()].filter((other) => other !== viewer);
      const now = presence(
        this.#viewers.size,
        others.some(({ typing }) => typing),
      );
      if (now !== viewer.told) send(JSON.parse(now));
      viewer.told = now;
    }
  }

  describe(query: URLSearchParams): object {
    const before = this.messages.findIndex(({ id }) => id === query.get("before"));
    const older = before < 0 ? this.messages : this.messages.slice(0, before);
    const messages = older.slice(-Number(query.get("limit") ?? 50));
    return { session_id: this.id, messages, more: messages.length < older.length };
  }

  runOf(message: string): string | undefined {
    return this.messages.find(({ id }) => id === message)?.run;
  }

  runOfAnswer(id: string): string | undefined {
    return this.live?.id === id ? this.live.run : this.find(id, "assistant")?.run;
  }

  questionOf(run: string): string {
    return (
      this.messages.find((message) => message.run === run && message.role === "user")?.id ?? ""
    );
  }

  /** A message of that role; the last one of it when no id is given. */
  find(id: string | undefined, role: string): Stored | undefined {
    return this.messages.findLast(
      (message) => message.role === role && (id === undefined || message.id === id),
    );
  }

  /** Takes a message and all after it out of the conversation. */
  drop(message: Stored): void {
    this.messages.splice(this.messages.indexOf(message));
  }

  rate(id: string, feedback: object): boolean {
    const answer = this.find(id, "assistant");
    if (answer) answer.feedback = feedback;
    return answer !== undefined;
  }

  /** The call that has waited, or waits, for this approval, and its answer. */
  approval(id: string): { message: Stored; call: ToolCall } | undefined {
    for (const message of this.messages)
      for (const call of message.tools ?? [])
        if (call.approval?.id === id) return { message, call };
    return undefined;
  }

  /** Decides, and has the question answered once more when nothing else waits. */
  resolve(id: string, decision: string, about: object, begun: (answer: Answer) => void): void {
    const found = this.approval(id);
    if (!found?.call.approval) return;
    const { message, call } = found;
    call.status = decision;
    Object.assign(found.call.approval, about);
    const what = { message: message.id, call: call.call, approval: id, decision, ...about };
    this.record({ type: "approval.resolved", ...what });
    if (decision === "superseded" || message.tools?.some(({ status }) => status === "waiting"))
      return;
    const answer = new Answer(this, this.questionOf(message.run));
    this.begin(answer, () => begun(answer), { continues: message.id });
  }

  textFrom(run: string, off: number): object {
    return { type: "delta", run, off, text: (this.texts.get(run) ?? "").slice(off) };
  }

  /** Takes a question; `begun` is called when its turn has come. */
  ask(answer: Answer, text: string, begun: () => void, replaces?: string): void {
    const message = {
      id: answer.question,
      role: "user",
      text,
      status: "complete",
      run: answer.run,
      ...(replaces !== undefined && { replaces }),
    };
    this.messages.push(message);
    this.record({ type: "message", message });
    this.begin(answer, begun);
  }

  /** Has an answer written; `begun` is called when its turn has come. */
  begin(answer: Answer, begun: () => void, more: object = {}): void {
    this.texts.set(answer.run, "");
    for (const message of this.messages)
      if (message.id === answer.question) message.run = answer.run;
    this.#waiting.push({ answer, begun, more });
    if (!this.live) this.startNext();
  }

  startNext(): void {
    const next = this.#waiting.shift();
    if (!next) return;
    const { id, run, question } = next.answer;
    this.live = next.answer;
    const about = { run, message: id, for: question, model: "test-model" };
    this.record({ type: "run.start", ...about, ...next.more });
    next.begun();
  }

  record(event: { type: string; run?: string; [field: string]: unknown }): void {
    const logged = { ...event, seq: this.log.length + 1 };
    this.log.push(logged);
    this.broadcast(logged);
  }

  broadcast(frame: object): void {
    for (const send of this.#viewers.keys()) send(frame);
  }

  #snapshot(send: Send): void {
    const runs = this.live ? [this.live.described] : [];
    const messages = this.messages.slice(-50);
    const more = messages.length < this.messages.length ? messages[0]?.id : undefined;
    send({ type: "snapshot", seq: this.log.length, messages, runs, more });
  }

  #replay(send: Send, seq: number, run: string | undefined, off: number): void {
    const from = (id: string): number => (id === run ? off : 0);
    for (const event of this.log.slice(seq)) {
      if (event.type === "run.done" && event.run) send(this.textFrom(event.run, from(event.run)));
      send(event);
    }
    if (this.live) send(this.textFrom(this.live.run, from(this.live.run)));
  }
}

function presence(viewers: number, typing: boolean): string {
  return JSON.stringify({ type: "presence", viewers, typing });
}

/** An answer in the making; a test calls these in the place of a model. */
export class Answer {
  readonly id: string;
  readonly run = `r_${randomUUID().slice(0, 8)}`;
  readonly question: string;
  tools: ToolCall[] = [];
  readonly #session: GatewaySession;

  constructor(session: GatewaySession, question: string, id = `a_${randomUUID().slice(0, 8)}`) {
    this.id = id;
    this.#session = session;
    this.question = question;
  }

  get text(): string {
    return this.#session.texts.get(this.run) ?? "";
  }

  /** As in a snapshot. */
  get described(): object {
    const { run, id, text, tools } = this;
    return { run, message: id, off: 0, text, tools, phase: "streaming" };
  }

  phase(phase: string, position?: number): void {
    this.#session.broadcast({ type: "run.phase", run: this.run, phase, position });
  }

  /** Tells how far a call is. */
  progress(call: string, progress: ToolProgress): void {
    this.#session.broadcast({ type: "tool.progress", run: this.run, call, ...progress });
  }

  sources(items: object[]): void {
    this.#session.record({ type: "sources", run: this.run, items });
  }

  /** Tells what was remembered for it. */
  remember(memory: AnswerMemory): void {
    this.#session.record({ type: "memory", run: this.run, ...memory });
  }

  /** Asks a tool; the card stands behind what was written so far. */
  call(call: string, about: Partial<ToolCall> = {}): void {
    const { run, text } = this;
    const asked = { call, tool: "emi", title: "Monthly instalment", off: text.length, ...about };
    this.tools.push({ ...asked, status: "running", ms: 0 });
    this.#session.record({ type: "tool.call", run, ...asked });
  }

  result(call: string, status = "ok", about: Partial<ToolCall> = {}): void {
    const result = { status, ms: 3, ...about };
    this.tools = this.tools.map((one) => (one.call === call ? { ...one, ...result } : one));
    this.#session.record({ type: "tool.result", run: this.run, call, ...result });
  }

  /** Has a call wait for somebody's word. */
  wait(call: string, about: Partial<Approval> = {}): Approval {
    const id = `a_${randomUUID().slice(0, 8)}`;
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    const approval = { id, digest: "d".repeat(64), approver: "user", expires_at, ...about };
    this.tools = this.tools.map((one) =>
      one.call === call ? { ...one, status: "waiting", approval: { ...approval } } : one,
    );
    this.#session.record({ type: "approval.request", run: this.run, call, approval });
    return approval;
  }

  write(text: string): void {
    if (this.#session.live !== this) return;
    const off = this.text.length;
    this.#session.texts.set(this.run, this.text + text);
    this.#session.broadcast({ type: "delta", run: this.run, off, text });
  }

  /** Takes text back from `keep` on, as when another model goes on. */
  withdraw(keep: number, to = "second"): void {
    this.#session.texts.set(this.run, this.text.slice(0, keep));
    this.#session.broadcast({ type: "failover", run: this.run, keep, to });
  }

  done(status = "complete", more: object = {}): void {
    if (this.#session.live !== this) return;
    const { id, run, text, tools } = this;
    this.#session.live = null;
    this.#session.messages.push({ id, role: "assistant", text, status, run, tools });
    this.#session.record({
      type: "run.done",
      run,
      message: id,
      status,
      len: text.length,
      crc32: crc32(text).toString(16).padStart(8, "0"),
      timing: { ttft_ms: 12, total_ms: 345 },
      ...more,
    });
    this.#session.startNext();
  }
}
