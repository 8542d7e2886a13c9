// @vitest-environment jsdom
/** Printing all of a conversation, or saying why not. */
import { readFileSync } from "node:fs";
import { Endpoint, type RivuletClient } from "@rivulet/client";
import { beforeEach, expect, it, vi } from "vitest";
import { ConversationsApi } from "../src/conversations/api";
import { Sharing } from "../src/conversations/sharing";

let client: { session: string; conversation: { messages: number[]; older: boolean } };
/** What the next page of older messages does. */
let load: () => void;
let goOn: () => void;
const print = vi.fn();
vi.stubGlobal("print", print);

beforeEach(() => {
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  HTMLDialogElement.prototype.showModal = function show(this: HTMLDialogElement) {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function hide(this: HTMLDialogElement) {
    this.open = false;
  };
  print.mockClear();
  client = { session: "s_1", conversation: { messages: [3, 4], older: true } };
  load = () => {
    client.conversation = { messages: [1, 2, 3, 4], older: false };
  };
  const waiting = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const loadOlder = async () => {
    await waiting;
    load();
  };
  new Sharing(Object.assign(client, { loadOlder }) as unknown as RivuletClient, {
    api: new ConversationsApi(new Endpoint("http://gateway/")),
    address: () => "",
    shown: async () => {},
    tell: () => {},
  });
  byId("share").click();
  byId("print").click();
});

const byId = (id: string) => document.getElementById(id) as HTMLElement;
const dialog = () => byId("sharing") as HTMLDialogElement;
const over = () => vi.waitFor(() => expect(dialog().ariaBusy).toBeNull());

it("all of it is printed, once it is there", async () => {
  print.mockImplementation(() => expect(client.conversation.messages).toHaveLength(4));
  expect(dialog().ariaBusy).toBe("true");
  goOn();
  await over();
  expect(print).toHaveBeenCalledOnce();
  expect(dialog().open).toBe(false);
});

it("a part of it is not printed as if it were all", async () => {
  load = () => {};
  goOn();
  await over();
  expect(print).not.toHaveBeenCalled();
  expect(byId("sharing-problem").textContent).toContain("could not be loaded yet");
  expect(dialog().open).toBe(true);
});

it("another one that was opened meanwhile is not printed", async () => {
  const loaded = load;
  load = () => {
    loaded();
    client.session = "s_2";
  };
  goOn();
  await over();
  expect(print).not.toHaveBeenCalled();
});

it("what was closed with Escape meanwhile is not printed later", async () => {
  dialog().close();
  goOn();
  await over();
  expect(print).not.toHaveBeenCalled();
});
