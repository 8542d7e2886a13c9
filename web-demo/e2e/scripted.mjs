/**
 * A conversation behind the page's WebSocket that says what a test wants: no model writes as oddly, or as
 * steadily, as some of these tests need. The page itself, and all else, comes from the gateway.
 */
import { crc32 } from "node:zlib";

const EPOCH = "scripted";

export class Conversation {
  /** Every frame of the page but its answers to pings. */
  heard = [];
  /** Lets a test take a frame before it is looked at. */
  intercept = () => false;
  #messages = [];
  #seq = 0;
  #live = null;
  #socket = null;

  /** To be called before the page is opened. */
  async behind(context) {
    await context.routeWebSocket(/\/api\/v1\/ws/, (socket) => {
      this.#socket = socket;
      socket.onMessage((data) => this.#take(JSON.parse(data), socket));
      this.#welcome();
    });
  }

  /** Closes the socket with a code. */
  close(code) {
    this.#socket.close({ code, reason: "" });
  }

  say(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Begins an answer to the last question. */
  begin() {
    const question = this.#messages.at(-1);
    const id = `a_${this.#messages.length}`;
    const { run } = question;
    this.#live = { id, role: "assistant", text: "", status: "complete", run, tools: [] };
    this.#event({ type: "run.start", run: question.run, message: id, for: question.id });
  }

  write(text) {
    const { run, text: before } = this.#live;
    this.#live.text += text;
    this.say({ type: "delta", run, off: before.length, text });
  }

  phase(phase) {
    this.say({ type: "run.phase", run: this.#live.run, phase });
  }

  /** Asks a tool, behind what was written so far. */
  call(call, about = {}) {
    const { run, text, tools } = this.#live;
    const asked = { call, tool: "emi", title: "Monthly instalment", off: text.length, ...about };
    tools.push({ ...asked, status: "running", ms: 0 });
    this.#event({ type: "tool.call", run, ...asked });
  }

  result(call, status = "ok", about = {}) {
    const { run, tools } = this.#live;
    const result = { status, ms: 3, ...about };
    Object.assign(
      tools.find((tool) => tool.call === call),
      result,
    );
    this.#event({ type: "tool.result", run, call, ...result });
  }

  done(status = "complete") {
    const { id, run, text } = this.#live;
    this.#messages.push({ ...this.#live, status });
    this.#live = null;
    const crc = crc32(text).toString(16).padStart(8, "0");
    this.#event({ type: "run.done", run, message: id, status, len: text.length, crc32: crc });
  }

  /** Writes an answer to the last question in one piece. */
  answer(text) {
    this.begin();
    this.write(text);
    this.done();
  }

  #event(frame) {
    this.say({ ...frame, seq: ++this.#seq });
  }

  #welcome() {
    const recovered = this.#seq > 0 ? "snapshot" : "new";
    const limits = { frame_bytes: 65_536, text_chars: 16_384 };
    const about = { session: "s_scripted", epoch: EPOCH, seq: this.#seq, recovered, limits };
    this.say({ type: "welcome", protocol: "chat.v1", heartbeat_s: 25, ...about });
    if (recovered === "new") return;
    const live = this.#live;
    const { run, id: message, text, tools } = live ?? {};
    const runs = live ? [{ run, message, off: 0, text, tools }] : [];
    this.say({ type: "snapshot", seq: this.#seq, messages: this.#messages, runs });
  }

  #take(frame, socket) {
    if (frame.type !== "pong") this.heard.push(frame);
    if (this.intercept(frame, socket)) return;
    const { id: re, type } = frame;
    if (type === "ping") this.say({ type: "pong", t: frame.t });
    if (type === "stop") {
      this.say({ type: "ack", re, run: frame.run });
      this.done("stopped");
    }
    if (type !== "send") return;
    const run = `r_${this.#messages.length}`;
    const message = { id: re, role: "user", text: frame.text, status: "complete", run };
    this.#messages.push(message);
    this.say({ type: "ack", re, message: re, run });
    this.#event({ type: "message", message });
  }
}
