/** Adds a document, waits until it is found, and asks: node document.mjs FILE "When does the office open?" */
import { randomUUID } from "node:crypto";
import { openAsBlob } from "node:fs";
import { basename } from "node:path";
import { backoff, fromEnvironment, Refused, sleep } from "./gateway.mjs";

class Failed extends Error {}

const [, , file, question] = process.argv;
const gateway = fromEnvironment();

const form = new FormData();
form.set("file", await openAsBlob(file), basename(file));
// The same key with each try: one document, one version.
const headers = { "Idempotency-Key": randomUUID() };
const added = await (await gateway.call("documents", { method: "POST", headers, body: form })).json();
if (added.job) await finished(added.job); // Without one, the gateway has this very document already.

const { response, sources = [] } = await gateway.send("chat", { id: randomUUID(), message: question });
console.log(response);
for (const { n, title } of sources) console.log(`[${n}] ${title}`);

/** Follows a job to its end. Each event has the whole state, so whoever comes back needs no cursor. */
async function finished(job) {
  for (let attempt = 0; ; attempt++) {
    try {
      const { body } = await gateway.call(`jobs/${job}/events`);
      for await (const { state, done, total, error } of states(body)) {
        console.error(`${state} ${done}/${total}`);
        if (state === "done") return;
        if (state === "failed" || state === "cancelled") throw new Failed(error?.message ?? state);
      }
    } catch (error) {
      if (error instanceof Failed || error instanceof Refused) throw error; // Everything else is a lost connection.
    }
    await sleep(backoff(attempt));
  }
}

async function* states(body) {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield JSON.parse(line.slice(5));
  }
}
