/** When a page is told of an answer, and what. */
import type { Message, RivuletClient } from "@rivulet/client";
import { beforeEach, expect, it } from "vitest";
import { connected, gateway, newClient, until } from "../../client/test/client-at-gateway.js";
import type { Answer } from "../../client/test/gateway-session.js";
import { Answers } from "../src/answers";

let client: RivuletClient;
let told: Message[];
let answering: Promise<Answer>;

beforeEach(async () => {
  answering = new Promise((resolve) => {
    gateway.onQuestion = resolve;
  });
  client = await connected(newClient());
  told = [];
  new Answers(client, (answer) => told.push(answer));
  client.send("Why?");
  (await answering).write("Beca");
  await until(client, () => client.conversation.messages.at(-1)?.text === "Beca");
});

it.each(["complete", "stopped"])("an answer that is %s is told once, with that", async (status) => {
  const answer = await answering;
  answer.write("use");
  answer.done(status);
  await until(client, () => told.length > 0);
  expect(told).toMatchObject([{ text: "Because", status }]);
  expect(client.conversation.runs.size).toBe(0);
  client.feedback(told[0]?.id ?? "", 1);
  await until(client, () => client.outgoing.length === 0);
  expect(told).toHaveLength(1);
});

it("a text that has not all come is asked for before it is told", async () => {
  gateway.intercept = ({ type }) => {
    if (type === "sync") expect(told).toEqual([]);
    return false;
  };
  const answer = await answering;
  // It never came in a frame.
  gateway.sessions.get(client.session ?? "")?.texts.set(answer.run, "Because");
  answer.done();
  await until(client, () => told.length > 0);
  expect(told).toMatchObject([{ text: "Because", status: "complete" }]);
  expect(gateway.heard.some(({ type }) => type === "sync")).toBe(true);
});

it("one that ended without a connection is told when it is there again", async () => {
  const answer = await answering;
  gateway.refusals = 1;
  gateway.cut();
  await until(client, () => client.state.name === "reconnecting");
  answer.write("use");
  answer.done();
  await until(client, () => told.length > 0);
  expect(told).toMatchObject([{ text: "Because", status: "complete" }]);
});

it("one of a conversation that was left is not told", async () => {
  client.newSession();
  await until(client, () => client.state.name === "connected");
  (await answering).done();
  await until(client, () => client.session !== null);
  expect(told).toEqual([]);
});
