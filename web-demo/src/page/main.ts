/** Puts the page together. */
import "../styles/page.css";
import "../styles/messages.css";
import "../styles/side.css";
import "../styles/documents.css";
import "../styles/reader.css";
import { RivuletClient } from "../rivulet-client";
import { Announcer } from "./announcer";
import { Composer } from "./composer";
import { ConnectionPill } from "./connection-pill";
import { copyText } from "./copy-button";
import { Documents } from "./documents/documents";
import { byId, make } from "./element";
import { apart } from "./faults";
import { Notices } from "./notices";
import { OlderMessages } from "./older-messages";
import { Painter } from "./painter";
import { PresenceLine } from "./presence-line";
import { ScrollFollow } from "./scroll-follow";
import { StatusVoice } from "./status-voice";
import { mountTheme } from "./theme";
import { Transcript } from "./transcript";
import { TurnVoice } from "./turn-voice";
import { WirePanel } from "./wire-panel";

declare global {
  interface Window {
    /** For debugging from the console: the client with its conversation and connection. */
    rivulet: { client: RivuletClient };
  }
}

const SUGGESTIONS = [
  "How long can I return a tent?",
  "What does the Kestrel 2 tent cost?",
  "How does Rivulet resume after a reconnect?",
  "What happens when I press Stop?",
];

/** The page without its query, so that addresses below it resolve behind any prefix. */
const here = new URL(".", location.href).href;
const session = new URLSearchParams(location.search).get("session") ?? undefined;
const client = new RivuletClient({ url: here, session });
window.rivulet = { client };

const notices = new Notices();
const scroll = new ScrollFollow();
const composer = new Composer(client, () => scroll.toNewest());
const transcript = new Transcript(client, {
  asked: () => scroll.toNewest(),
  homeless: (text) => composer.restore(text),
  openSource: (source, claim) => documents.openSource(source, claim),
});
const voice = new StatusVoice();
const documents = new Documents(client, notices, voice, (change) => scroll.around(change));
const presence = new PresenceLine(client, voice);
const older = new OlderMessages(client, notices);
const wire = new WirePanel(client);
new ConnectionPill(client, voice);
new TurnVoice(client, voice);
new Announcer(client);
mountTheme();

const painter = new Painter(() => {
  let left = false;
  scroll.around(() => {
    apart(() => {
      left = transcript.paint();
    });
    apart(() => older.paint());
  });
  for (const part of [composer, presence, wire]) apart(() => part.paint());
  return left;
});

client.on("change", () => painter.soon());
client.on("state", () => painter.soon());
client.on("refused", ({ frame }) => {
  if (frame.type === "send") composer.restore(frame.text);
  if (frame.type === "edit") transcript.edit(frame.message, frame.text);
});
client.on("error", (error) => {
  // Nobody asked for what has no id, like the signs of typing. A stop that came too late and a text that
  // is no longer kept are no news for the user.
  const asked = error.re !== undefined && !error.re.startsWith("sync:");
  if (asked && error.code !== "run_not_active") notices.error(error);
});
client.on("sessionLost", ({ known }) => {
  history.replaceState(null, "", here);
  // One in which nothing was said is not kept for long, and nobody misses it.
  if (!known) notices.show("That conversation no longer exists. This is a new one.");
});

byId("new-chat").addEventListener("click", () => {
  history.replaceState(null, "", here);
  client.newSession();
  composer.focus();
});

byId("share").addEventListener("click", async () => {
  const link = new URL(here);
  if (client.session) link.searchParams.set("session", client.session);
  const copied = await copyText(link.href);
  notices.show(copied ? "The link to this conversation was copied." : link.href);
});

byId("suggestions").append(
  ...SUGGESTIONS.map((text) => {
    const button = make("button", { type: "button", className: "suggestion", textContent: text });
    button.addEventListener("click", () => {
      composer.ask(text);
      composer.focus();
    });
    return make("li", {}, button);
  }),
);

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
client.connect();
composer.focus();
