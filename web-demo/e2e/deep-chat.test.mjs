/** The chat element `deep-chat` as it is published, in a real browser, on a page at a real gateway. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { launch, gateway as shared } from "./browser.mjs";
import { OwnGateway } from "./own-gateway.mjs";

const element = createRequire(import.meta.url).resolve("deep-chat/dist/deepChat.bundle.js");
const targets = (url) => ({
  RIVULET_LLM_TARGETS: JSON.stringify(
    ["first", "second"].map((name) => ({ name, base_url: url, model: "qwen3" })),
  ),
});

const running = [];
let browser;
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await Promise.all(running.map((gateway) => gateway.stop()));
});

async function start(settings, ...mock) {
  const gateway = await OwnGateway.start(settings, mock);
  running.push(gateway);
  return gateway;
}

/** A page with the element, of a user of this gateway. `connect`: what else the page says of the connection. */
async function open(gateway, connect = {}) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const script = await readFile(element, "utf8");
  const body = `<!doctype html><title>Chat</title><script type="module" src="/element.js"></script>`;
  await page.route("**/embedded", (route) => route.fulfill({ body, contentType: "text/html" }));
  await page.route("**/element.js", (route) =>
    route.fulfill({ body: script, contentType: "text/javascript" }),
  );
  await page.goto(new URL("embedded", gateway.url).href);
  const headers = { authorization: `Bearer ${gateway.token("ann")}` };
  await page.evaluate(
    async (connect) => {
      await customElements.whenDefined("deep-chat");
      const chat = document.createElement("deep-chat");
      const rendered = new Promise((resolve) => {
        chat.onComponentRender = resolve;
      });
      Object.assign(chat, { connect, errorMessages: { displayServiceErrorMessages: true } });
      document.body.append(chat);
      await rendered;
    },
    { url: "/api/v1/deep-chat/chat", stream: true, headers, ...connect },
  );
  return { page, token: headers.authorization.slice(7) };
}

async function ask(page, text) {
  await page.evaluate(
    (question) => document.querySelector("deep-chat").submitUserMessage(question),
    text,
  );
}

/** What the element holds, and what it shows of that. */
const shown = (page) =>
  page.evaluate(() => {
    const chat = document.querySelector("deep-chat");
    const texts = (kind) => [...chat.shadowRoot.querySelectorAll(kind)].map((one) => one.innerText);
    return {
      messages: chat.getMessages(),
      answers: texts(".ai-message-text:not(.deep-chat-loading-message-bubble)"),
      errors: texts(".error-message-text"),
      isStreaming: chat.shadowRoot.querySelector(".streamed-message") !== null,
    };
  });

/** Waits until the element shows what `holds` wants. */
async function until(page, holds) {
  for (let tries = 0; ; tries++) {
    const now = await shown(page);
    if (holds(now)) return now;
    assert.ok(tries < 300, JSON.stringify(now));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const isOver = (count) => (now) =>
  now.messages.filter(({ role }) => role === "ai").length === count && !now.isStreaming;

/** The newest answer of a conversation as it is stored. */
async function stored(gateway, session, token) {
  const { messages } = await (await gateway.request(`api/v1/sessions/${session}`, token)).json();
  return messages;
}

test("an answer is written piece by piece, and the conversation that the page has named goes on", async () => {
  const gateway = await start({}, "--rate", "40", "--tokens", "60");
  const { page, token } = await open(gateway, { additionalBodyProps: { session: "a-tab" } });
  await ask(page, "What is a rivulet?");
  const early = await until(
    page,
    ({ isStreaming, answers }) => isStreaming && answers.length === 1,
  );
  const first = (await until(page, isOver(1))).messages.at(-1);
  assert.ok(early.answers[0].length < first.text.length, "it was seen before it was whole");
  await ask(page, "And a river?");
  const { messages, errors } = await until(page, isOver(2));
  assert.deepEqual(errors, []);
  // By the answer's own name of the conversation.
  const all = await stored(gateway, messages.at(-1)._sessionId, token);
  assert.equal(all.length, 4);
  assert.equal(messages.at(-1).text, all.at(-1).text);
  assert.equal(first.text, all[1].text);
});

test("the text of a model that breaks off is overwritten", async () => {
  const gateway = await start(targets, "--rate", "20", "--tokens", "40", "--fault", "cut:6,none");
  const { page, token } = await open(gateway);
  await ask(page, "What is a rivulet?");
  const { messages, answers, errors } = await until(page, isOver(1));
  assert.deepEqual([answers.length, errors], [1, []]);
  const [, answer] = await stored(gateway, messages.at(-1)._sessionId, token);
  assert.equal(answer.status, "complete");
  assert.equal(messages.at(-1).text, answer.text);
});

test("errors say what they are, and the next question is answered", async () => {
  const gateway = await start(targets, "--rate", "0", "--fault", "status:401,status:401,none");
  const { page, token } = await open(gateway, { additionalBodyProps: { session: "a-tab" } });
  await ask(page, "What is a rivulet?");
  const { errors } = await until(page, (now) => now.errors.length === 1);
  assert.match(errors[0], /model|refused|rejected/i);
  await ask(page, "And a river?");
  const { messages } = await until(page, isOver(1));
  assert.equal(
    (await stored(gateway, messages.at(-1)._sessionId, token)).at(-1).status,
    "complete",
  );

  // What is refused before there is an answer, too.
  const stranger = await open(gateway, { headers: { authorization: "Bearer none" } });
  await ask(stranger.page, "Hello?");
  const refused = await until(stranger.page, (now) => now.errors.length === 1);
  assert.match(refused.errors[0], /credentials/);
});

test("an element that does not stream gets the whole answer, and sources stand behind it", async () => {
  // The one that all tests share knows documents, and asks nobody who they are.
  const gateway = {
    url: shared,
    token: () => "",
    request: (path) => fetch(new URL(path, shared)),
  };
  for (const stream of [false, true]) {
    const { page } = await open(gateway, { stream, headers: {} });
    await ask(page, "How many days do I have to return an item?");
    const { messages, answers } = await until(page, isOver(1));
    const [, answer] = await stored(gateway, messages.at(-1)._sessionId);
    assert.ok(answer.sources.length > 0);
    assert.ok(messages.at(-1).text.startsWith(answer.text));
    for (const { title } of answer.sources) assert.ok(answers[0].includes(title), answers[0]);
  }
});
