/** Puts the page together. */
import "../styles/page.css";
import "../styles/messages.css";
import "../styles/tools.css";
import "../styles/approvals.css";
import "../styles/artifacts.css";
import "../styles/datasets.css";
import "../styles/side.css";
import "../styles/documents.css";
import "../styles/reader.css";
import "../styles/sign-in.css";
import "../styles/assistants.css";
import "../styles/memory.css";
import "../styles/conversations.css";
import { type Assistant, type ErrorFrame, RivuletClient } from "@rivulet/client";
import { sessionOf } from "../conversations/address";
import { Conversations } from "../conversations/conversations";
import { browserStorage } from "../conversations/opened";
import { Sharing } from "../conversations/sharing";
import { titleOf } from "../conversations/words";
import { MemoriesApi } from "../memories/api";
import { Forgetting } from "../memories/forgetting";
import { SettingsDialog } from "../settings/dialog";
import { Preferences } from "../settings/preferences";
import { Account } from "../sign-in/account";
import { arrivalOf } from "../sign-in/arrival";
import { SignInCard } from "../sign-in/card";
import { SignIn, tabStorage } from "../sign-in/sign-in";
import { Announcer } from "./announcer";
import { Answering } from "./answering";
import { Assistants, choiceOf } from "./assistants";
import { Composer } from "./composer";
import { ConnectionPill } from "./connection-pill";
import { DatasetCards } from "./dataset-cards";
import { Documents } from "./documents/documents";
import { SidePanel } from "./documents/side-panel";
import { byId } from "./element";
import { Farewell } from "./farewell";
import { apart } from "./faults";
import { MemoriesPanel } from "./memory/memories-panel";
import { tellMemory } from "./memory/memory-voice";
import { Temporary } from "./memory/temporary";
import { Notices } from "./notices";
import { OlderMessages } from "./older-messages";
import { Painter } from "./painter";
import { PresenceLine } from "./presence-line";
import { ScrollFollow } from "./scroll-follow";
import { Start } from "./start";
import { StatusVoice } from "./status-voice";
import { Transcript } from "./transcript";
import { TurnVoice } from "./turn-voice";
import { untaken } from "./untaken";
import { WirePanel } from "./wire-panel";

declare global {
  interface Window {
    /** For debugging from the console: the client with its conversation and connection. */
    rivulet: { client: RivuletClient };
  }
}

// Before anything else: what proves somebody does not stay in sight.
const arrival = arrivalOf(location.href);
if (arrival.clean !== null) history.replaceState(null, "", arrival.clean);

/** The page without its query, so that addresses below it resolve behind any prefix. */
const here = new URL(".", location.href).href;
const session = sessionOf(location.href) ?? undefined;
const signIn = new SignIn({ base: here, arrival, storage: tabStorage() });
const { token, ticket } = signIn;
const client = new RivuletClient({ url: here, session, token, ticket });
window.rivulet = { client };

const storage = browserStorage();
const preferences = new Preferences(storage);
const notices = new Notices();
const scroll = new ScrollFollow();
const composer = new Composer(
  client,
  () => scroll.toNewest(),
  () => preferences.sendKey,
);
const memories = new MemoriesApi(client.endpoint);
const forgetting = new Forgetting(memories, new BroadcastChannel("rivulet.memories"));
const around = (change: () => void): void => scroll.around(change);
const transcript = new Transcript(
  client,
  {
    asked: () => scroll.toNewest(),
    homeless: (text) => composer.restore(text),
    around,
    openSource: (source, claim) => documents.openSource(source, claim),
    openSession,
  },
  forgetting,
);
const voice = new StatusVoice();
const tables = new DatasetCards(client, () => assistants.current, voice);
const panel = new SidePanel(around);
const documents = new Documents(client, notices, voice, tables, panel);
const assistants = new Assistants(
  client,
  async () => ((await signIn.mayAsk()) ? client.endpoint.assistants() : []),
  () => painter.soon(),
);
const start = new Start(assistants, {
  pick: (assistant) => pick(assistant),
  ask: (text) => {
    composer.ask(text);
    composer.focus();
  },
});
const answering = new Answering(client, assistants, (assistant) => {
  pick(assistant);
  composer.focus();
});
const presence = new PresenceLine(client, voice);
const older = new OlderMessages(client, notices);
const wire = new WirePanel(client);
new ConnectionPill(client, voice);
new TurnVoice(client, voice);
const card = new SignInCard(signIn, byId("sign-in"), {
  draft: () => untaken(client, composer.text),
  go: (address) => location.assign(address),
  say: (text) => voice.say("sign-in", text),
  back: () => composer.focus(),
});
new Account(signIn, { open: () => card.open(), leave: () => leave() });
new Announcer(client);
tellMemory(client, voice);
const current = () => assistants.current;
const remembered = new MemoriesPanel(client, {
  api: memories,
  forgetting,
  panel,
  voice,
  conversations: {
    get current() {
      return client.session;
    },
    open: openSession,
  },
  current,
});
const temporary = new Temporary(client, current, memories, {
  begin: (temporary) => begin(undefined, temporary),
  changed: () => painter.soon(),
});
const farewell = new Farewell(client, {
  api: memories,
  current,
  deleted: (session) => {
    const isOpen = session === client.session;
    conversations.gone(session);
    forgetting.tell([]);
    notices.show("The conversation was deleted.");
    if (isOpen) beginAnother();
  },
});
forgetting.watch(() => painter.soon());
const conversations = new Conversations(client, {
  signIn,
  storage,
  here,
  around,
  changed: () => painter.soon(),
  show: (session) => {
    takeBack();
    if (session === null) client.newSession();
    else client.openSession(session);
    byId("log").focus({ preventScroll: true });
  },
  begin: beginAnother,
  remove: (conversation) => {
    const { session_id: session, assistant } = conversation;
    const who = assistants.offered?.find(({ name }) => name === assistant);
    farewell.ask({ session, title: titleOf(conversation), remembers: who?.memory === true });
  },
  say: (text) => voice.say("conversations", text),
});
new Sharing(client, {
  api: conversations.api,
  address: (session) => (session === null ? here : conversations.address.of(session)),
  shown: () => painter.settled(),
  tell: (text) => notices.show(text),
});
new SettingsDialog(preferences, { current, openMemories: () => panel.showMemories() });

const painter = new Painter(() => {
  let left = false;
  scroll.around(() => {
    apart(() => {
      left = transcript.paint();
    });
    apart(() => older.paint());
    apart(() => start.paint());
  });
  const memory = [remembered, temporary, farewell, conversations];
  for (const part of [composer, answering, presence, wire, tables, ...memory])
    apart(() => part.paint());
  return left;
});

client.on("change", () => painter.soon());
client.on("state", () => painter.soon());
client.on("state", (state) => {
  if (state.name === "closed") signIn.closed(state.code);
});
signIn.on("change", () => {
  document.body.dataset.signIn = signIn.standing.name;
});
signIn.on("entered", ({ other }) => {
  // Nobody goes on in the conversation of somebody else.
  if (other) {
    panel.close();
    assistants.forget();
    conversations.address.leadTo(null);
    client.newSession(null);
  } else if (client.state.name === "connected") void client.renewToken();
  else client.connect();
});
/** What was refused and is told where it was asked. */
let toldElsewhere: ErrorFrame | null = null;
client.on("refused", ({ error, frame }) => {
  if (frame.type === "approve") toldElsewhere = error;
  if (frame.type === "send") composer.restore(frame.text);
  if (frame.type === "edit") transcript.edit(frame.message, frame.text);
});
client.on("error", (error) => {
  // Nobody asked for what has no id, like the signs of typing. A stop that came too late and a text that
  // is no longer kept are no news for the user.
  const asked = error.re !== undefined && !error.re.startsWith("sync:");
  if (asked && error !== toldElsewhere && error.code !== "run_not_active") notices.error(error);
});
client.on("sessionLost", ({ session, known }) => {
  conversations.address.forget();
  conversations.gone(session);
  // One in which nothing was said is not kept for long, and nobody misses it.
  if (!known) notices.show("That conversation no longer exists. This is a new one.");
});

byId("new-chat").addEventListener("click", beginAnother);

/** Begins an empty conversation with the one that answers here: it may not be the one that was chosen last. */
function beginAnother(): void {
  begin(assistants.current && choiceOf(assistants.current));
  composer.focus();
}

/** Begins an empty conversation; see `RivuletClient.newSession`. */
function begin(assistant?: string | null, temporary = false): void {
  takeBack();
  conversations.address.leadTo(null);
  client.newSession(assistant, { temporary });
}

/** Shows a conversation that there is. */
function openSession(session: string): void {
  takeBack();
  conversations.address.leadTo(session);
  client.openSession(session);
  byId("log").focus({ preventScroll: true });
}

/** Has this one answer, if it does not already. */
function pick(assistant: Assistant): void {
  if (assistant === assistants.current) return;
  // Whoever has chosen that nothing is remembered has not taken it back.
  const isEmpty = client.conversation.messages.length === 0;
  begin(choiceOf(assistant), isEmpty && client.temporary && assistant.memory === true);
  const { title, greeting = "" } = assistant;
  voice.say("assistant", `${title} answers now. ${greeting}`);
}

/** What did not go out would never do so from another conversation: it is in the box again. */
function takeBack(): void {
  const text = untaken(client);
  if (text !== "") composer.restore(text);
}

/** Whoever comes next to this tab finds nothing of who sat here. */
function leave(): void {
  signIn.leave();
  client.newSession(null);
  client.close();
  location.replace(here);
}

async function showVersion(): Promise<void> {
  try {
    const response = await fetch(new URL("api/v1/version", here));
    const { name, version, commit } = await response.json();
    const build = typeof commit === "string" && commit ? ` (${commit.slice(0, 7)})` : "";
    byId("version").textContent = `${name ?? "rivulet"} ${version}${build}`;
  } catch {
    // The connection pill already tells that the gateway cannot be reached.
  }
}

void showVersion();
if (signIn.draft !== "") composer.restore(signIn.draft);
client.connect();
composer.focus();
