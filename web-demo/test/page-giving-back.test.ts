// @vitest-environment jsdom
/** What the page does with a message that the gateway can never take. */
import { readFileSync } from "node:fs";
import type { RivuletClient } from "@rivulet/client";
import { beforeEach, describe, expect, it } from "vitest";
import type { WebSocket } from "ws";
import {
  connected,
  gateway,
  newClient,
  until,
} from "../../packages/client/test/client-at-gateway.js";
import { Composer } from "../src/page/composer";
import { Transcript } from "../src/page/transcript";
import { untaken } from "../src/page/untaken";

let client: RivuletClient;

beforeEach(async () => {
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  client = newClient();
  const composer = new Composer(client, () => {});
  const transcript = new Transcript(client, {
    asked: () => {},
    homeless: (text) => composer.restore(text),
    openSource: () => {},
  });
  client.on("refused", ({ frame }) => {
    if (frame.type === "send") composer.restore(frame.text);
    if (frame.type === "edit") transcript.edit(frame.message, frame.text);
  });
  client.on("change", () => transcript.paint());
  client.on("state", () => transcript.paint());
  gateway.onQuestion = (answer) => {
    answer.write("Because");
    answer.done();
  };
  await connected(client);
  submit("Why?");
  await until(client, () => client.conversation.messages.at(-1)?.verified);
});

const box = () => document.getElementById("composer-text") as HTMLTextAreaElement;
const shown = () =>
  [...document.querySelectorAll(".question-text")].map(({ textContent }) => textContent);
const button = (name: string) =>
  [...document.querySelectorAll<HTMLButtonElement>("#messages button")].find(
    ({ textContent }) => textContent === name,
  );

function submit(text: string): void {
  box().value = text;
  document.getElementById("composer")?.dispatchEvent(new Event("submit", { cancelable: true }));
}

const error = (re?: string): string =>
  JSON.stringify({ type: "error", re, code: "bad_json", message: "no", retryable: false });

describe("a message that can never be taken", () => {
  it.each<[string, (socket: WebSocket, id: string | undefined) => void]>([
    ["is refused by name", (socket, id) => socket.send(error(id))],
    ["is refused without a name", (socket) => socket.send(error())],
    ["is too large for what lies between", (socket) => socket.close(1009)],
    ["is no text to what lies between", (socket) => socket.close(1007)],
    ["is for a session that is gone", (socket) => socket.close(4004)],
  ])("because it %s, is back below the draft, and nothing waits for it", async (_, punish) => {
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "send") return false;
      // Meanwhile something else was begun.
      if (box().value === "") box().value = "A draft";
      punish(socket, frame.id);
      return true;
    };
    submit("Bad");
    expect(shown()).toEqual(["Why?", "Bad"]);
    await until(client, () => client.outgoing.length === 0);
    expect(box().value).toBe("A draft\nBad");
    expect(shown()).toEqual(["Why?"]);
    if (client.state.name === "closed") return;
    await until(client, () => client.state.name === "connected");
    expect(button("Edit")?.disabled).toBe(false);
    expect(button("Try again")?.hidden).toBe(false);
  });

  it("or that waits when another conversation is opened is all that would be lost", async () => {
    gateway.intercept = ({ type }) => type === "send";
    submit("First");
    submit("Second");
    expect(untaken(client)).toBe("First\nSecond");
    expect(untaken(client, "A draft")).toBe("First\nSecond\nA draft");
    client.newSession();
    expect([untaken(client), untaken(client, " ")]).toEqual(["", ""]);
  });

  it("as an edit is back in its editor", async () => {
    gateway.intercept = (frame, socket) => {
      if (frame.type === "edit") socket.send(error());
      return frame.type === "edit";
    };
    client.edit(client.conversation.messages[0]?.id ?? "", "Bad");
    await until(client, () => client.outgoing.length === 0);
    expect(document.querySelector<HTMLTextAreaElement>(".question-editor textarea")?.value).toBe(
      "Bad",
    );
  });
});
