/**
 * A gateway of a test's own, in which everybody has to say who they are; the one that all other tests share asks
 * nobody. Its model takes longer for an answer than the admin page looks away, and its first one never answers.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ENDS_WITHIN_MS = 30_000;

export class OwnGateway {
  url;
  #secret = randomBytes(32).toString("hex");
  #folder;
  #programs = [];

  /**
   * With these settings, as variables of the environment, which may depend on the address of its model. `mock`: how that
   * answers.
   */
  static async start(settings = {}, mock = ["--rate", "12", "--tokens", "66"]) {
    const own = new OwnGateway();
    const binary = process.env.RIVULET_BINARY;
    assert.ok(binary, "RIVULET_BINARY names the program to be tested: make e2e sets it");
    own.#folder = await mkdtemp(join(tmpdir(), "rivulet-e2e-"));
    await writeFile(join(own.#folder, "rivulet.toml"), "");
    const model = await own.#spawn(binary, ["mock-llm", ...mock], {});
    const targets = [
      { name: "broken", base_url: "http://127.0.0.1:9/v1", model: "qwen3" },
      { name: "steady", base_url: `${model}/v1`, model: "qwen3" },
    ];
    const config = ["--config", join(own.#folder, "rivulet.toml")];
    const data = ["--bind", "127.0.0.1:0", "--data-dir", join(own.#folder, "data")];
    own.url = await own.#spawn(binary, ["serve", ...config, ...data], {
      REQUIRE_AUTHENTICATION: "true",
      JWT_SECRET_KEY: own.#secret,
      RIVULET_KNOWLEDGE_ENABLED: "false",
      RIVULET_LLM_CACHE_ENTRIES: "0",
      RIVULET_LLM_TARGETS: JSON.stringify(targets),
      ...(typeof settings === "function" ? settings(`${model}/v1`) : settings),
    });
    return own;
  }

  /** A token of this user, made at the beginning of the next second, so that no earlier revocation holds for it. */
  token(user, { tenant = "shop", scope = "", seconds = 3_600 } = {}) {
    const now = Math.floor(Date.now() / 1_000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const head = part({ alg: "HS256", typ: "JWT" });
    const claims = part({ sub: user, tenant, scope, iat: now, exp: now + seconds });
    const sign = createHmac("sha256", this.#secret).update(`${head}.${claims}`);
    return `${head}.${claims}.${sign.digest("base64url")}`;
  }

  /** A request in the name of a token. */
  request(path, token, body) {
    return fetch(new URL(path, this.url), {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  /** Has the gateway read its files again. What comes of it is seen by who asks. */
  reload() {
    this.#programs.at(-1).kill("SIGHUP");
  }

  /** How the gateway ended, once it has. */
  async ended() {
    const gateway = this.#programs.at(-1);
    if (gateway.exitCode === null) await once(gateway, "exit");
    return gateway.exitCode;
  }

  async stop() {
    for (const program of this.#programs.reverse()) {
      if (program.exitCode !== null || program.signalCode !== null) continue;
      const killer = setTimeout(() => program.kill("SIGKILL"), ENDS_WITHIN_MS);
      program.kill("SIGTERM");
      await once(program, "exit");
      clearTimeout(killer);
    }
    await rm(this.#folder, { recursive: true });
  }

  /** Starts a program, and gives the address that it tells. Nothing of this machine's settings gets to it. */
  async #spawn(binary, options, settings) {
    const env = { PATH: process.env.PATH, HOME: this.#folder, NO_COLOR: "1", ...settings };
    const program = spawn(binary, options, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#programs.push(program);
    let said = "";
    return new Promise((resolve, reject) => {
      const listen = (data) => {
        said += data;
        const told = /(?:listening on|mock model at) (http:\/\/127\.0\.0\.1:\d+)/.exec(said);
        if (told) resolve(told[1]);
      };
      program.stdout.on("data", listen);
      program.stderr.on("data", listen);
      program.once("exit", (code) => reject(new Error(`it ended with ${code}: ${said}`)));
    });
  }
}

/** A page of it in a fresh profile, and its misdeeds. That a token was not taken is in the browser's console, too. */
export async function openAt(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });
  const page = await context.newPage();
  const misdeeds = [];
  page.on("console", (message) => {
    const refused = /status of 40[13]/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !refused) misdeeds.push(message.text());
  });
  page.on("pageerror", (error) => misdeeds.push(String(error)));
  await page.goto(address);
  return { page, context, misdeeds };
}
