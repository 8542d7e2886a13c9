/**
 * A conversation behind the page's WebSocket that says what a test wants: no model writes as oddly, or as
 * steadily, as some of these tests need. The page itself, and all else, comes from the gateway.
 */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { ask, openPage } from "./browser.mjs";

const EPOCH = "scripted";

/**
 * A page with a conversation of its own, whose answer to `question` has begun. `before` answers requests of the page, as
 * that of `Conversation`. `close` finds out whether the page did what it must not; that requests were refused with this
 * status is in the browser's console, too.
 */
export async function openScripted(browser, question, { before, ...options } = {}) {
  const conversation = new Conversation();
  if (before) conversation.before = before;
  const { page, misdeeds } = await openPage(browser, options, "", conversation);
  const close = async (status = null) => {
    const others = misdeeds.filter((text) => status === null || !text.includes(String(status)));
    assert.deepEqual(others, []);
    await page.context().close();
  };
  await askScripted(page, conversation, question);
  return { conversation, page, close };
}

/** Asks, and has the answer begin. */
export async function askScripted(page, conversation, question) {
  await ask(page, question);
  await page.waitForFunction(() => window.rivulet.client.outgoing.length === 0);
  conversation.begin();
}

export class Conversation {
  /** Every frame of the page but its answers to pings. */
  heard = [];
  /** The paths that sockets were opened at. */
  opened = [];
  /** Lets a test take a frame before it is looked at. */
  intercept = () => false;
  #messages = [];
  #seq = 0;
  #live = null;
  /** Those that a page is still behind. */
  #sockets = new Set();
  /** The content of files that tools have made, by id. */
  #files = new Map();
  /** Lets a test answer requests of the page as well. */
  before = async () => {};

  /** To be called before the page is opened. */
  async behind(context) {
    await this.before(context);
    await context.routeWebSocket(/\/api\/v1\/ws/, (socket) => {
      this.#sockets.add(socket);
      socket.onMessage((data) => this.#take(JSON.parse(data), socket));
      socket.onClose(() => this.#sockets.delete(socket));
      const { pathname, searchParams } = new URL(socket.url());
      this.opened.push(pathname);
      this.#welcome(socket, searchParams.get("temporary") === "true");
    });
    await context.route(/\/api\/v1\/artifacts\//, (route) => {
      const request = route.request();
      const body = this.#files.get(new URL(request.url()).pathname.split("/").at(-1));
      if (body === undefined) return route.fulfill({ status: 404, json: { code: "not_found" } });
      return route.fulfill({ body, contentType: "application/octet-stream" });
    });
  }

  /** The next one who comes finds an empty conversation. */
  restart() {
    this.#messages = [];
    this.#seq = 0;
    this.#live = null;
  }

  /** Closes the socket with a code. */
  close(code) {
    for (const socket of this.#sockets) socket.close({ code, reason: "" });
    this.#sockets.clear();
  }

  /** To all tabs. */
  say(frame) {
    for (const socket of this.#sockets) socket.send(JSON.stringify(frame));
  }

  /** Begins an answer to the last question. */
  begin(more = {}) {
    const question = this.#messages.findLast(({ role }) => role === "user");
    const id = `a_${this.#messages.length}`;
    const answers = this.#messages.filter(({ for: asked }) => asked === question.id).length;
    const run = answers === 0 ? question.run : `${question.run}_${answers}`;
    const about = { id, role: "assistant", for: question.id, run };
    this.#live = { ...about, text: "", status: "complete", tools: [] };
    this.#event({ type: "run.start", run, message: id, for: question.id, ...more });
  }

  write(text) {
    const { run, text: before } = this.#live;
    this.#live.text += text;
    this.say({ type: "delta", run, off: before.length, text });
  }

  phase(phase) {
    this.say({ type: "run.phase", run: this.#live.run, phase });
  }

  /** Tells what the answer rests on. */
  sources(items) {
    this.#live.sources = items;
    this.#event({ type: "sources", run: this.#live.run, items });
  }

  /** Tells what was remembered for the answer. */
  remember(memory) {
    this.#event({ type: "memory", run: this.#live.run, ...memory });
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

  /** Makes a file, as what `result` tells of one. */
  made(artifact, content, about = {}) {
    this.#files.set(artifact, content);
    const file = { kind: "file", title: "Letter", media: "application/pdf" };
    return { artifact, bytes: Buffer.byteLength(content), ...file, ...about };
  }

  /** The file is not kept any more. */
  lose(artifact) {
    this.#files.delete(artifact);
  }

  /** Has a call wait for somebody's word. */
  wait(call, about = {}) {
    const { run, tools } = this.#live;
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    const approval = { id: `w_${call}`, digest: "d".repeat(64), approver: "user", expires_at };
    Object.assign(approval, about);
    const waiting = tools.find((tool) => tool.call === call);
    Object.assign(waiting, { status: "waiting", approval });
    this.#event({ type: "approval.request", run, call, approval });
  }

  /** Somebody has decided. */
  resolve(id, decision, about = {}) {
    for (const { id: message, tools = [] } of this.#messages)
      for (const tool of tools) {
        if (tool.approval?.id !== id) continue;
        tool.status = decision;
        const what = { message, call: tool.call, approval: id, decision, ...about };
        this.#event({ type: "approval.resolved", ...what });
      }
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

  #welcome(socket, temporary) {
    const say = (frame) => socket.send(JSON.stringify(frame));
    const recovered = this.#seq > 0 ? "snapshot" : "new";
    const limits = { frame_bytes: 65_536, text_chars: 16_384 };
    const about = { session: "s_scripted", epoch: EPOCH, seq: this.#seq, recovered, limits };
    if (temporary) about.temporary = true;
    say({ type: "welcome", protocol: "chat.v1", heartbeat_s: 25, ...about });
    if (recovered === "new") return;
    const live = this.#live;
    const { run, id: message, text, tools } = live ?? {};
    const runs = live ? [{ run, message, off: 0, text, tools }] : [];
    say({ type: "snapshot", seq: this.#seq, messages: this.#messages, runs });
  }

  #take(frame, socket) {
    if (frame.type !== "pong") this.heard.push(frame);
    if (this.intercept(frame, socket)) return;
    const { id: re, type } = frame;
    const say = (answer) => socket.send(JSON.stringify(answer));
    if (type === "ping") say({ type: "pong", t: frame.t });
    if (type === "approve") {
      say({ type: "ack", re });
      this.resolve(frame.approval, frame.decision);
    }
    if (type === "stop") {
      say({ type: "ack", re, run: frame.run });
      this.done("stopped");
    }
    if (type !== "send") return;
    const run = `r_${this.#messages.length}`;
    const message = { id: re, role: "user", text: frame.text, status: "complete", run };
    this.#messages.push(message);
    say({ type: "ack", re, message: re, run });
    this.#event({ type: "message", message });
  }
}
