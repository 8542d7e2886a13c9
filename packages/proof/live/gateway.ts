/** A gateway of a test's own, the servers that it asks, and a connection to it that can be cut. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TOLD = /(?:listening on|mock model at) (http:\/\/127\.0\.0\.1:\d+)/;

export interface Stored {
  id: string;
  role: string;
  text: string;
  status: string;
}

export class LiveGateway {
  /** Where a client finds it: behind the connection that can be cut. */
  url = "";
  /** What the tool of the assistant `loan` was sent. */
  readonly letters: unknown[] = [];
  #folder = "";
  readonly #programs: ChildProcess[] = [];
  readonly #servers: (Server | HttpServer)[] = [];
  readonly #sockets = new Set<Socket>();

  /** `models`: the options of its mock models, in the order in which they are asked. */
  static async start(...models: string[][]): Promise<LiveGateway> {
    const own = new LiveGateway();
    own.#folder = await mkdtemp(join(tmpdir(), "rivulet-live-"));
    const targets = [];
    for (const options of models) {
      const url = await own.#spawn(["mock-llm", ...options], {});
      targets.push({ name: `m${targets.length}`, base_url: `${url}/v1`, model: "qwen3" });
    }
    const office = createHttpServer((request, response) => {
      request.on("data", (body) => own.letters.push(JSON.parse(String(body))));
      request.on("end", () =>
        response.writeHead(200, { "content-type": "application/json" }).end('{"letter":"L-1"}'),
      );
    });
    await own.#assistant(await own.#listen(office));
    const gateway = await own.#spawn(
      ["serve", "--bind", "127.0.0.1:0", "--data-dir", join(own.#folder, "data")],
      {
        RIVULET_KNOWLEDGE_ENABLED: "false",
        RIVULET_LLM_CACHE_ENTRIES: "0",
        RIVULET_LLM_TARGETS: JSON.stringify(targets),
        RIVULET_ASSISTANTS_DIR: join(own.#folder, "assistants"),
      },
    );
    const { port } = new URL(gateway);
    const relay = createServer((socket) => {
      const behind = connect(Number(port), "127.0.0.1");
      for (const [one, other] of [
        [socket, behind],
        [behind, socket],
      ] as const) {
        own.#sockets.add(one);
        one.pipe(other);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          own.#sockets.delete(one);
          other.destroy();
        });
      }
    });
    own.url = await own.#listen(relay);
    return own;
  }

  /** Cuts all connections, as networks do it. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** What the gateway has of a session. */
  async messages(session: string): Promise<Stored[]> {
    const response = await fetch(`${this.url}/api/v1/sessions/${session}`);
    return ((await response.json()) as { messages: Stored[] }).messages;
  }

  async stop(): Promise<void> {
    this.cut();
    for (const server of this.#servers) server.close();
    for (const program of this.#programs.reverse()) {
      if (program.exitCode !== null || program.signalCode !== null) continue;
      program.kill("SIGTERM");
      await once(program, "exit");
    }
    await rm(this.#folder, { recursive: true });
  }

  async #assistant(office: string): Promise<void> {
    const file = `
[knowledge]
mode = "off"
[tools]
use = ["calc", "letter"]
[[tool]]
name = "letter"
title = "Sanction letter"
kind = "http"
method = "POST"
effect = "write"
description = "Writes it."
url = "${office}/letters"
private_hosts = ["127.0.0.1"]
input.name = { type = "string" }
`;
    await mkdir(join(this.#folder, "assistants"));
    await writeFile(join(this.#folder, "assistants", "loan.toml"), file);
  }

  async #listen(server: Server | HttpServer): Promise<string> {
    this.#servers.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Starts a program of the gateway's binary, and gives the address that it tells. */
  #spawn(options: string[], settings: Record<string, string>): Promise<string> {
    const binary = process.env.RIVULET_BINARY;
    if (!binary) throw new Error("RIVULET_BINARY names the program to be tested");
    const env = { PATH: process.env.PATH, HOME: this.#folder, NO_COLOR: "1", ...settings };
    const program = spawn(binary, options, {
      env,
      cwd: this.#folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#programs.push(program);
    let said = "";
    return new Promise((resolve, reject) => {
      const listen = (data: Buffer): void => {
        said += data;
        const told = TOLD.exec(said)?.[1];
        if (told) resolve(told);
      };
      program.stdout.on("data", listen);
      program.stderr.on("data", listen);
      program.once("exit", (code) => reject(new Error(`it ended with ${code}: ${said}`)));
    });
  }
}
