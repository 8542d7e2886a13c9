/** Answers that would break a page, and messages that can never be taken. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, connected, launch, openPage } from "./browser.mjs";
import { Conversation } from "./scripted.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function open() {
  const conversation = new Conversation();
  const { page, misdeeds } = await openPage(browser, {}, "", conversation);
  const close = async () => {
    assert.deepEqual(misdeeds, []);
    await page.context().close();
  };
  return { conversation, page, close };
}

const answers = (page) =>
  page.locator(".answer .markdown").evaluateAll((all) => all.map((one) => one.textContent.trim()));
const questions = (page) => page.locator(".question-text").allTextContents();
const box = (page) => page.getByLabel("Message", { exact: true });

/** Asks, and waits until the question is there. */
async function put(page, text) {
  const before = await page.locator(".question").count();
  await ask(page, text);
  await page.locator(".question").nth(before).waitFor();
  await page.waitForFunction(() => window.rivulet.client.outgoing.length === 0);
}

/** Notes the longest time that the page did not breathe. */
const watchBreath = (page) =>
  page.evaluate(() => {
    window.longest = 0;
    let last = performance.now();
    const breathe = () => {
      const now = performance.now();
      window.longest = Math.max(window.longest, now - last);
      last = now;
      setTimeout(breathe, 0);
    };
    breathe();
  });

const DEEP = ">".repeat(15_000);

test("an answer of quotes in quotes is text, and everything else goes on", async () => {
  const { conversation, page, close } = await open();
  await put(page, "Fine?");
  conversation.answer("*Fine*");
  await put(page, "Deep?");
  conversation.begin();
  await watchBreath(page);
  conversation.write("*Before*\n\n");
  for (let at = 0; at < DEEP.length; at += 100) conversation.write(DEEP.slice(at, at + 100));
  await page.waitForFunction(
    (length) => document.querySelectorAll(".answer")[1]?.textContent.includes(">".repeat(length)),
    DEEP.length,
  );
  const stop = page.getByRole("button", { name: "Stop" });
  assert.ok(await stop.isVisible(), "the answer can be stopped");
  await stop.click();
  await page.locator(".note").getByText("You stopped this answer.").waitFor();
  assert.ok(await stop.isHidden());
  await put(page, "And now?");
  conversation.answer("*Still* fine");
  const shown = ["Fine", `Before${DEEP}`, "Still fine"];
  const plain = (all) => all.map((text) => text.replace(/\s+(?=>)/g, ""));
  await page.locator(".answer").nth(2).waitFor();
  assert.deepEqual(
    plain(await answers(page)).map((text) => text.length),
    shown.map((text) => text.length),
  );

  await page.reload();
  await connected(page);
  await page.locator(".answer").nth(2).waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".answer em").length === 3);
  assert.equal(plain(await answers(page)).join() === shown.join(), true, "the same after a reload");
  await close();
});

const HEAVY = {
  "many deep lists": `${"- ".repeat(50)}a\n`.repeat(290),
  "deep lists, each a block": `${"- ".repeat(15)}a\n\nand\n\n`.repeat(600),
  "a long list": "- item\n".repeat(4_500),
  "a wide table": `|${" a |".repeat(50)}\n|${"---|".repeat(50)}\n${`|${" 1 |".repeat(50)}\n`.repeat(180)}`,
  emphasis: "x**".repeat(20_000),
};

for (const [name, text] of Object.entries(HEAVY)) {
  test(`the page breathes while ${name} is written, and after a reload`, async () => {
    const { conversation, page, close } = await open();
    for (let turn = 0; turn < 4; turn++) {
      await put(page, "Heavy?");
      conversation.begin();
      if (turn === 0) {
        await watchBreath(page);
        for (let at = 0; at < text.length; at += 500) conversation.write(text.slice(at, at + 500));
      } else conversation.write(text);
      conversation.done();
    }
    const finished = () =>
      page.waitForFunction(() => {
        const all = [...document.querySelectorAll(".answer")];
        return all.length === 4 && all.every((one) => one.matches("[data-status=complete]"));
      });
    await finished();
    assert.ok((await page.evaluate(() => window.longest)) < 2_000, "while it is written");
    await page.reload();
    await watchBreath(page);
    await finished();
    const longest = await page.evaluate(() => window.longest);
    assert.ok(longest < 2_000, `it held its breath for ${longest} ms`);
    await close();
  });
}

const NASTY = `# ![x](https://evil.example/?q=1) and <img src=https://evil.example/2>

**Bold, ![by reference][e], <style>@import "https://evil.example/3"</style> [x](javascript:alert(1))

| a | ![x][e] | \`[1]\` |
|---|---|---|
| <script src=https://evil.example/4></script> | **half | [half](

- one \`\`\`
  \`\`\`html
  <iframe src=https://evil.example/5></iframe>
  \`\`\`

\`\`\`js
a[1] // ![x](https://evil.example/6)
\`\`\`

<link rel=stylesheet href=https://evil.example/7> <video poster=https://evil.example/8> \\(a_1\\)

[e]: https://evil.example/9.png

~~~
the end`;

test("no letter of a hostile answer makes a request, and each fence is one piece of code", async () => {
  const { conversation, page, close } = await open();
  await put(page, "Nasty?");
  conversation.begin();
  for (const letter of NASTY) {
    conversation.write(letter);
    const { length } = NASTY;
    if (Math.random() < 20 / length) await page.evaluate(() => new Promise(requestAnimationFrame));
  }
  conversation.done();
  await page.locator(".answer[data-status=complete]").waitFor();
  // What does not fit into one painting comes in the next ones.
  await page.locator(".answer pre").nth(2).waitFor();
  await page.locator(".answer .as-written").waitFor({ state: "detached" });
  assert.equal(await page.locator(".answer pre").count(), 3);
  assert.equal(
    await page.locator(".answer :is(img, script, style, iframe, video, link)").count(),
    0,
  );
  await close();
});

test("the page can talk to nobody but its gateway, whatever made it try", async () => {
  const { page } = await openPage(browser);
  const blocked = await page.evaluate(async () => {
    const addresses = [];
    document.addEventListener("securitypolicyviolation", ({ blockedURI }) => {
      addresses.push(blockedURI);
    });
    for (const address of ["ws://127.0.0.1:9/", "wss://evil.example/"]) new WebSocket(address);
    await fetch("https://evil.example/").catch(() => {});
    while (addresses.length < 3) await new Promise(requestAnimationFrame);
    return addresses.sort();
  });
  assert.deepEqual(blocked, ["https://evil.example/", "ws://127.0.0.1:9/", "wss://evil.example/"]);
  await page.context().close();
});

test("a message that nothing names is found out and given back, and the page goes on", async () => {
  const { conversation, page, close } = await open();
  conversation.intercept = ({ type, text }) => {
    if (type !== "send" || text !== "Bad") return false;
    conversation.say({ type: "error", code: "bad_json", message: "no", retryable: false });
    return true;
  };
  await put(page, "Why?");
  conversation.answer("Because");
  await ask(page, "Bad");
  await page.waitForFunction(() => document.getElementById("composer-text").value === "Bad");
  await page.getByText("The gateway cannot take that message as it is.").waitFor();
  assert.deepEqual(await questions(page), ["Why?"]);
  assert.ok(await page.getByRole("button", { name: "Edit" }).isEnabled());
  assert.ok(await page.getByRole("button", { name: "Try again" }).isVisible());
  await page.evaluate(() => window.rivulet.client.breakConnection());
  await connected(page);
  await put(page, "Good");
  assert.equal(conversation.heard.filter(({ text }) => text === "Bad").length, 2);
  await close();
});

test("a message over which the socket is closed is given back below the draft", async () => {
  const { conversation, page, close } = await open();
  conversation.intercept = ({ text }) => {
    if (text === "Bad") conversation.close(1009);
    return text === "Bad";
  };
  await put(page, "Why?");
  conversation.answer("Because");
  await box(page).fill("A draft");
  await page.evaluate(() => window.rivulet.client.send("Bad"));
  await page.waitForFunction(() => window.rivulet.client.outgoing.length === 0);
  assert.equal(await box(page).inputValue(), "A draft\nBad");
  await connected(page);
  assert.equal(conversation.heard.filter(({ text }) => text === "Bad").length, 1);
  await close();
});
