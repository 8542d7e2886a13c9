/**
 * The official `openai` package, unchanged, against the gateway: `node sdk.mjs URL RIVULET_BINARY`.
 *
 * The gateway at that address needs the sample knowledge and the built-in model. Others, and the model servers that fail
 * behind them, are started from the binary and ended by their process.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import OpenAI from "openai";

const [url, binary] = process.argv.slice(2);
assert.ok(url && binary, "usage: sdk.mjs URL-OF-THE-GATEWAY RIVULET-BINARY");

const PATIENCE_MS = 20_000;
const vectors = "all-MiniLM-L6-v2";
const messages = [{ role: "user", content: "How long can I return a tent?" }];
const folder = mkdtempSync(join(tmpdir(), "rivulet-sdk-"));
const programs = [];

/** Starts a program of the binary, and returns the address that it tells. */
async function start(args, pattern, settings = {}) {
  const env = { PATH: process.env.PATH, HOME: folder, NO_COLOR: "1", ...settings };
  const program = spawn(binary, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  programs.push(program);
  const [stdout, stderr] = [program.stdout, program.stderr].map((input) => createInterface({ input }));
  const told = new Promise((resolve, reject) => {
    for (const lines of [stdout, stderr]) {
      lines.on("line", (line) => {
        const found = pattern.exec(line);
        if (found) resolve(found[1]);
      });
    }
    program.once("exit", () => reject(new Error(`${args.join(" ")} ended`)));
  });
  return await told;
}

const model = (...args) => start(["mock-llm", ...args], /(http:\/\/[0-9.:]+\/v1)/);

function gateway(settings) {
  const args = ["serve", "--bind", "127.0.0.1:0", "--data-dir", mkdtempSync(join(folder, "data-"))];
  const quick = { RIVULET_KNOWLEDGE_ENABLED: "false", RIVULET_LLM_RETRIES: "0" };
  return start(args, /listening on (http:\/\/[0-9.:]+)/, { ...quick, ...settings });
}

const client = (base, options = {}) =>
  new OpenAI({ baseURL: `${base}/v1`, apiKey: "placeholder", timeout: PATIENCE_MS, ...options });

const ask = (ai, options = {}) => ai.chat.completions.create({ model: "default", messages, ...options });

async function raised(kind, promise) {
  const error = await promise.then(
    () => assert.fail(`instead of a ${kind.name}: an answer`),
    (error) => error,
  );
  assert.equal(error.constructor, kind, String(error.stack));
  return error;
}

const checks = {
  async "an answer, its usage and its sources; the request's id; the raw response"() {
    const answer = await ask(client(url), { temperature: 0.2, max_completion_tokens: 200 });
    assert.match(answer.choices[0].message.content, /60 days/);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(answer.usage.completion_tokens > 0 && answer._request_id);
    assert.equal(answer.rivulet.status, "complete");
    assert.equal(answer.rivulet.sources[0].title, "Returns and refunds");
    assert.equal(answer.rivulet.citations[0].n, 1);
    const { data, response } = await client(url)
      .chat.completions.create({ model: "default", messages })
      .withResponse();
    assert.equal(response.status, 200);
    assert.equal(data.model, "extractive");
  },

  async "an answer of the package goes back as history"() {
    const first = await ask(client(url));
    const next = { role: "user", content: [{ type: "text", text: "And a stove?" }] };
    const answer = await ask(client(url), { messages: [...messages, first.choices[0].message, next] });
    assert.equal(answer.choices[0].finish_reason, "stop");
  },

  async "instructions alone, an answer to go on with, numbers as texts; whether the answer was known"() {
    const [{ content }] = messages;
    for (const options of [
      { messages: [{ role: "system", content }], max_tokens: -1 },
      { messages: [...messages, { role: "assistant", content: "Tents " }], temperature: "0.7", stop: "" },
    ]) {
      const answer = await ask(client(url), options);
      assert.match(answer.choices[0].message.content, /60 days/);
    }
    // The gateway of these tests keeps nothing.
    const { response } = await ask(client(url), { temperature: 0 }).withResponse();
    assert.match(response.headers.get("cache-status"), /^rivulet; fwd=/);
  },

  async "a stream: its text, sources, usage and end; the package's own stream helper"() {
    const chunks = [];
    const options = { stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await ask(client(url), options)) chunks.push(chunk);
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    assert.match(text, /60 days/);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.equal(chunks[0].rivulet.sources[0].title, "Returns and refunds");
    assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
    assert.ok(chunks.at(-1).usage.completion_tokens > 0);
    const helper = client(url).chat.completions.stream({ model: "default", messages });
    assert.equal(await helper.finalContent(), text);
  },

  async "calls of the program's tools, whole whichever way a server writes them, and the answer to their results"() {
    const content = 'call calc {"x":"1+1"} and call time {} then say "Done."';
    const question = { role: "user", content };
    const parameters = { type: "object", properties: { x: { type: "string" } } };
    const tools = ["calc", "time"].map((name) => ({ type: "function", function: { name, parameters } }));
    for (const fault of [[], ["--fault", "tools-index-zero"], ["--fault", "tools-args-repeat"]]) {
      const ai = client(await gateway({ RIVULET_LLM_BASE_URL: await model("--rate", "0", ...fault) }));
      const whole = await ask(ai, { messages: [question], tools });
      const helper = ai.chat.completions.stream({ model: "default", messages: [question], tools });
      for (const answer of [whole, await helper.finalChatCompletion()]) {
        const { finish_reason, message } = answer.choices[0];
        assert.equal(finish_reason, "tool_calls");
        const called = message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
        assert.deepEqual(called, [["calc", { x: "1+1" }], ["time", {}]]);
        const results = message.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "2" }));
        const done = await ask(ai, { messages: [question, message, ...results], tools });
        assert.equal(done.choices[0].message.content, "Done.");
        const error = await raised(OpenAI.BadRequestError, ask(ai, { messages: [question, message], tools }));
        assert.equal(error.param, "messages[1].tool_calls[0].id");
      }
      // The package makes the calls itself.
      const made = [];
      const runnable = tools.map((tool) => ({
        ...tool,
        function: { ...tool.function, function: (args) => made.push(args) && "2", parse: JSON.parse },
      }));
      const runner = ai.chat.completions.runTools({ model: "default", messages: [question], tools: runnable, stream: true });
      assert.equal(await runner.finalContent(), "Done.");
      assert.deepEqual(made, [{ x: "1+1" }, {}]);
    }
  },

  async "vectors of texts, as the package asks for them and as numbers"() {
    const ask = (options) => client(url).embeddings.create({ model: vectors, input: ["a tent", "bread"], ...options });
    const [packed, plain] = [await ask(), await ask({ encoding_format: "float" })];
    assert.equal(packed.data[1].embedding.length, 384);
    packed.data[0].embedding.forEach((number, at) => assert.ok(Math.abs(number - plain.data[0].embedding[at]) < 1e-4));
    const error = await raised(OpenAI.NotFoundError, ask({ model: "text-embedding-3-small" }));
    assert.equal(error.code, "model_not_found");
  },

  async "models are listed and found"() {
    const names = [];
    for await (const one of client(url).models.list()) names.push(one.id);
    assert.deepEqual(names, ["default", "assistant:autbot", "assistant:companion", "assistant:econ", "assistant:loan", "extractive", vectors]);
    assert.equal((await client(url).models.retrieve("default")).owned_by, "rivulet");
    const error = await raised(OpenAI.NotFoundError, client(url).models.retrieve("gpt-99"));
    assert.equal(error.code, "model_not_found");
  },

  async "a wrong request is a BadRequestError that names the field"() {
    for (const stream of [false, true]) {
      const error = await raised(OpenAI.BadRequestError, ask(client(url), { stream, n: 2 }));
      assert.deepEqual([error.code, error.param], ["unsupported_parameter", "n"]);
    }
  },

  async "where keys are needed, a wrong one is an AuthenticationError"() {
    const secret = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";
    const closed = await gateway({ REQUIRE_AUTHENTICATION: "true", JWT_SECRET_KEY: secret });
    const error = await raised(OpenAI.AuthenticationError, ask(client(closed)));
    assert.equal(error.code, "unauthenticated");
  },

  async "an answer that breaks off raises, and is never whole"() {
    const cut = await model("--rate", "0", "--fault", "cut:5");
    const failing = await gateway({ RIVULET_LLM_BASE_URL: cut, RIVULET_LLM_BREAKER_FAILURES: "1000" });
    const choices = [];
    const read = async () => {
      for await (const chunk of await ask(client(failing), { stream: true })) choices.push(chunk.choices[0]);
    };
    const error = await raised(OpenAI.APIError, read());
    assert.equal(error.code, "upstream_unavailable");
    assert.equal(choices.map((choice) => choice.delta.content ?? "").join(""), "A rivulet is a very");
    assert.ok(choices.every((choice) => choice.finish_reason === null));
    const helper = client(failing).chat.completions.stream({ model: "default", messages });
    await assert.rejects(helper.finalContent(), OpenAI.APIError);
    const whole = await raised(OpenAI.InternalServerError, ask(client(failing, { maxRetries: 0 })));
    assert.deepEqual([whole.status, whole.code], [502, "upstream_unavailable"]);
  },

  async "a model that fails at once raises, streamed or not"() {
    const failing = await gateway({ RIVULET_LLM_BASE_URL: await model("--fault", "status:500") });
    for (const stream of [false, true]) {
      const error = await raised(OpenAI.InternalServerError, ask(client(failing, { maxRetries: 0 }), { stream }));
      assert.deepEqual([error.status, error.code], [502, "upstream_unavailable"]);
    }
  },

  async "who aborts a stream stops the answer"() {
    const slow = await gateway({ RIVULET_LLM_BASE_URL: await model("--rate", "20", "--tokens", "1000") });
    const stream = await ask(client(slow), { stream: true });
    for await (const _chunk of stream) break;
    const deadline = Date.now() + PATIENCE_MS;
    const metrics = async () => (await fetch(`${slow}/metrics`)).text();
    while (!(await metrics()).includes('runs_total{status="stopped"} 1')) {
      assert.ok(Date.now() < deadline, "the answer goes on");
    }
  },
};

let failed = 0;
try {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok: ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${name}\n${error.stack}`);
    }
  }
} finally {
  for (const program of programs) {
    if (program.exitCode !== null) continue;
    program.kill("SIGKILL");
    await once(program, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
}
console.log(`openai for Node.js: ${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
