/**
 * A small gateway in this process: sessions as logs, sockets as cursors, text by offset. The tests
 * decide what the model writes and when the network breaks; everything else is as on the wire.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Assistant } from "@rivulet/client";
import { type WebSocket, WebSocketServer } from "ws";
import { Answer, FRAME_BYTES, GatewaySession } from "./gateway-session.js";

export type OnQuestion = (answer: Answer, text: string, session: GatewaySession) => void;

interface ClientSays {
  type: string;
  id?: string;
  text?: string;
  mode?: string;
  run?: string;
  off?: number;
  message?: string;
  value?: number;
  comment?: string;
  approval?: string;
  digest?: string;
  decision?: string;
  on?: boolean;
  token?: string;
  resume?: string;
  t?: unknown;
}

export class Gateway {
  readonly sessions = new Map<string, GatewaySession>();
  readonly sockets = new Set<WebSocket>();
  /** Every frame that clients sent, in order. */
  readonly heard: ClientSays[] = [];
  /** The query strings of all upgrades that were accepted. */
  readonly upgrades: URL[] = [];
  /** The paths of all plain requests. */
  readonly requests: string[] = [];
  /** Who made the plain requests, as their heads say. */
  readonly bearers: (string | undefined)[] = [];
  /** What is at `artifacts/ID`. */
  readonly artifacts = new Map<string, string>();
  /** How many of the next requests for these fail. */
  failures = 0;
  /** How many of the next upgrades are refused. */
  refusals = 0;
  /** Plain requests are heard and never answered. */
  silent = false;
  heartbeatSeconds = 25;
  /** The token that a socket's first frame has to bring; `null`: none is asked for. */
  token: string | null = null;
  /** The tickets that are good for one upgrade each; `null`: none is asked for. */
  tickets: Set<string> | null = null;
  /** Who is on offer, the default one first. */
  assistants = [assistant("default", { default: true })];
  onQuestion: OnQuestion = () => {};
  /** Answers that go on with what was decided. */
  onDecided: (answer: Answer) => void = () => {};
  /** Lets a test swallow a frame before it is looked at. */
  intercept: (frame: ClientSays, socket: WebSocket) => boolean = () => false;
  readonly server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });

  constructor() {
    this.server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://gateway");
      this.requests.push(pathname);
      this.bearers.push(request.headers.authorization);
      if (this.silent) return;
      if (this.tickets !== null) {
        response.writeHead(401).end();
        return;
      }
      if (pathname === "/api/v1/assistants") {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify({ assistants: this.assistants }));
        return;
      }
      const made = /^\/api\/v1\/artifacts\/([^/]+)$/.exec(pathname)?.[1];
      if (made !== undefined) {
        const content = this.artifacts.get(decodeURIComponent(made));
        const status = this.failures-- > 0 ? 503 : content === undefined ? 404 : 200;
        response.writeHead(status).end(content);
        return;
      }
      const id = /^\/api\/v1\/sessions\/([^/]+)$/.exec(pathname)?.[1];
      const session = this.sessions.get(id ?? "");
      response.writeHead(session ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(session?.describe(searchParams) ?? { code: "not_found" }));
    });
    this.server.on("upgrade", (request, socket, head) => {
      const admitted = this.refusals === 0 && this.#admits(request);
      const session = admitted ? this.#wanted(request) : undefined;
      if (admitted && !session && this.token !== null) {
        // Nobody is refused before it is known who they are.
        this.#sockets.handleUpgrade(request, socket, head, (ws) =>
          ws.once("message", () => ws.close(4004)),
        );
        return;
      }
      if (!session) {
        const status = this.refusals > 0 ? "503 Service Unavailable" : "404 Not Found";
        this.refusals = Math.max(0, this.refusals - 1);
        socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (ws) =>
        this.#attach(ws, request, session),
      );
    });
  }

  async start(): Promise<this> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Breaks every socket without a close frame, as a lost network does. */
  cut(): void {
    for (const socket of this.sockets) socket.terminate();
  }

  closeAll(code: number): void {
    for (const socket of this.sockets) socket.close(code);
  }

  async stop(): Promise<void> {
    this.cut();
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  newSession(assistant = "default", temporary = false): GatewaySession {
    const session = new GatewaySession(randomUUID(), assistant, temporary);
    this.sessions.set(session.id, session);
    return session;
  }

  #admits(request: IncomingMessage): boolean {
    const { searchParams } = new URL(request.url ?? "", "http://gateway");
    return this.tickets === null || this.tickets.delete(searchParams.get("ticket") ?? "");
  }

  #wanted(request: IncomingMessage): GatewaySession | undefined {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://gateway");
    if (pathname === "/api/v1/ws") {
      const asked = searchParams.get("assistant");
      const answers = this.assistants.find((one) =>
        asked === null ? one.default : one.name === asked,
      );
      return answers && this.newSession(answers.name, searchParams.get("temporary") === "true");
    }
    return this.sessions.get(/^\/api\/v1\/ws\/([^/]+)$/.exec(pathname)?.[1] ?? "");
  }

  #attach(socket: WebSocket, request: IncomingMessage, session: GatewaySession): void {
    const url = new URL(request.url ?? "", "http://gateway");
    this.upgrades.push(url);
    this.sockets.add(socket);
    const send = (frame: object): void => socket.send(JSON.stringify(frame));
    let welcomed = this.token === null;
    const welcome = (cursor: string | null | undefined): void => {
      welcomed = true;
      session.attach(send, cursor ?? null, this.heartbeatSeconds);
    };
    if (welcomed) welcome(url.searchParams.get("resume"));
    socket.on("message", (data) => {
      if ((data as Buffer).length > FRAME_BYTES) {
        socket.close(1009);
        return;
      }
      const frame = JSON.parse(String(data)) as ClientSays;
      this.heard.push(frame);
      if (this.intercept(frame, socket)) return;
      if (frame.type === "hello" && (welcomed || frame.token === this.token)) welcome(frame.resume);
      else if (!welcomed) socket.close(4001);
      else this.#answer(frame, session, send);
    });
    socket.on("close", () => {
      this.sockets.delete(socket);
      session.detach(send);
    });
  }

  #answer(frame: ClientSays, session: GatewaySession, send: (frame: object) => void): void {
    const { id: re, type } = frame;
    if (type === "ping") send({ type: "pong", t: frame.t });
    if (type === "sync") send(session.textFrom(frame.run ?? "", frame.off ?? 0));
    if (type === "send") this.#take(frame, session, send);
    if (type === "edit" || type === "regenerate") this.#replace(frame, session, send);
    if (type === "typing") session.typing(send, frame.on === true);
    if (type === "auth") send({ type: "ack", re });
    if (type === "feedback") {
      const { message = "", value, comment } = frame;
      const found = session.rate(message, { value, comment });
      send(found ? { type: "ack", re } : { type: "error", re, code: "not_found", message: "" });
    }
    if (type === "approve") this.#decide(frame, session, send);
    if (type !== "stop") return;
    const { live } = session;
    if (live) {
      send({ type: "ack", re, run: live.run });
      live.done("stopped");
    } else send({ type: "error", re, code: "run_not_active", message: "It is over" });
  }

  #decide(frame: ClientSays, session: GatewaySession, send: (frame: object) => void): void {
    const { id: re, approval = "", digest, decision = "", comment } = frame;
    const refuse = (code: string): void => send({ type: "error", re, code, message: code });
    const call = session.approval(approval)?.call;
    if (!call?.approval) refuse("not_found");
    else if (call.status !== "waiting") refuse("already_decided");
    else if (Date.parse(call.approval.expires_at) <= Date.now()) refuse("expired");
    else if (call.approval.digest !== digest) refuse("digest_mismatch");
    else {
      send({ type: "ack", re });
      const about = { by: "alice", ...(comment !== undefined && { comment }) };
      session.resolve(approval, decision, about, (answer) => this.onDecided(answer));
    }
  }

  #take(frame: ClientSays, session: GatewaySession, send: (frame: object) => void): void {
    const { id: re = randomUUID(), text = "" } = frame;
    const known = session.runOf(re);
    if (known) send({ type: "ack", re, message: re, run: known, duplicate: true });
    else if (session.live && frame.mode !== "queue")
      send({ type: "error", re, code: "busy", message: "Still answering" });
    else {
      const answer = new Answer(session, re);
      const queued = session.live !== null;
      // Whoever writes on has not approved.
      for (const { tools = [] } of session.messages)
        for (const { status, approval } of tools)
          if (status === "waiting" && approval)
            session.resolve(approval.id, "superseded", {}, () => {});
      send({ type: "ack", re, message: re, run: answer.run, duplicate: false, queued });
      session.ask(answer, text, () => this.onQuestion(answer, text, session));
    }
  }

  #replace(frame: ClientSays, session: GatewaySession, send: (frame: object) => void): void {
    const { id: re = randomUUID(), type, message } = frame;
    const known = type === "edit" ? session.runOf(re) : session.runOfAnswer(re);
    const refuse = (code: string): void => send({ type: "error", re, code, message: code });
    if (known) {
      send({ type: "ack", re, message: session.questionOf(known), run: known, duplicate: true });
      return;
    }
    const old = session.find(message, type === "edit" ? "user" : "assistant");
    if (session.live || !old) {
      refuse(old ? "busy" : "not_found");
      return;
    }
    const question = type === "edit" ? re : session.questionOf(old.run);
    const answer = new Answer(session, question, type === "edit" ? undefined : re);
    send({ type: "ack", re, message: question, run: answer.run, duplicate: false });
    session.drop(old);
    const begun = (): void => this.onQuestion(answer, frame.text ?? "", session);
    if (type === "edit") session.ask(answer, frame.text ?? "", begun, old.id);
    else session.begin(answer, begun, { replaces: old.id });
  }
}

/** One that may be asked, with as much about it as a test wants. */
export function assistant(name: string, about: Partial<Assistant> = {}): Assistant {
  const plain = { title: name, suggestions: [], languages: [], version: "1", default: false };
  return { name, ...plain, ...about };
}
