/** The panel that is loaded when `<rivulet-chat>` is opened for the first time: a conversation and all around it. */
import { type ErrorFrame, RivuletClient } from "@rivulet/client";
import { contentOf } from "../../../web-demo/src/documents/artifacts";
import { Announcer } from "../../../web-demo/src/page/announcer";
import { Approvals } from "../../../web-demo/src/page/approvals";
import { Assistants } from "../../../web-demo/src/page/assistants";
import { errorText } from "../../../web-demo/src/page/notices";
import { Painter } from "../../../web-demo/src/page/painter";
import type { Say } from "../../../web-demo/src/page/say";
import { ScrollFollow } from "../../../web-demo/src/page/scroll-follow";
import type { CardServices } from "../../../web-demo/src/page/tool-cards";
import { untaken } from "../../../web-demo/src/page/untaken";
import { Answers } from "./answers";
import type { RivuletChatEvents, Token } from "./api";
import { Banner } from "./banner";
import { CitationCard } from "./citation-card";
import { Composer } from "./composer";
import { Later } from "./later";
import { sayIn } from "./locales";
import { Notice } from "./notice";
import { button, make, part } from "./parts";
import { storageOf } from "./remembered";
import type { Settings } from "./settings";
import { Sheet } from "./sheet";
import { Start } from "./start";
import { adopt, PANEL } from "./styles";
import { Tokens } from "./tokens";
import { Transcript } from "./transcript";
import { Whose } from "./whose";

/** What the panel needs of the element. */
export interface Host {
  token(): Token | null;
  close(): void;
  emit<Name extends keyof RivuletChatEvents>(
    name: Name,
    detail: RivuletChatEvents[Name]["detail"],
  ): void;
}

/** What a panel in other words goes on with. */
export interface Left {
  readonly session: string | null;
  /** What was being written, and what did not go out. */
  readonly draft: string;
}

export class Panel {
  readonly #host: Host;
  readonly #root: ShadowRoot;
  readonly #say: Say;
  readonly #client: RivuletClient;
  readonly #tokens: Tokens;
  readonly #whose: Whose;
  readonly #frame: HTMLElement;
  readonly #title = part(make("h2", { className: "title" }), "title");
  readonly #log = part(make("div", { className: "log", tabIndex: 0 }), "log");
  readonly #jump: HTMLElement;
  readonly #older: HTMLElement;
  readonly #assistants: Assistants;
  readonly #transcript: Transcript;
  readonly #start: Start;
  readonly #composer: Composer;
  readonly #banner: Banner;
  readonly #notice: Notice;
  readonly #citation: CitationCard;
  readonly #sheet: Sheet | null;
  readonly #scroll: ScrollFollow;
  readonly #painter: Painter;
  #connected = false;

  /** The words come with it. Rejects when these cannot be loaded. */
  static async make(
    frame: HTMLElement,
    root: ShadowRoot,
    settings: Settings,
    host: Host,
    left: Left | null,
  ): Promise<Panel> {
    return new Panel(frame, root, settings, host, left, await sayIn(settings.locale));
  }

  private constructor(
    frame: HTMLElement,
    root: ShadowRoot,
    settings: Settings,
    host: Host,
    left: Left | null,
    say: Say,
  ) {
    this.#host = host;
    this.#root = root;
    this.#say = say;
    adopt(root, PANEL);
    const { server, assistant, session, storage } = settings;
    this.#tokens = new Tokens(() => host.token(), settings.tokenUrl);
    this.#client = new RivuletClient({
      url: server,
      session: left?.session ?? session,
      assistant,
      storage: storageOf(storage, server, assistant),
      token: this.#tokens.token,
    });
    const client = this.#client;
    this.#frame = part(make(settings.inline ? "div" : "dialog", { className: "panel" }), "panel");
    // No landmark: there may be several of one name.
    if (settings.inline) this.#frame.setAttribute("role", "group");
    this.#jump = button(say("To the newest"), "jump", () => {});
    this.#jump.hidden = true;
    this.#older = button(say("Earlier messages"), "copy older", () => void this.#loadOlder());
    this.#transcript = new Transcript(client, {
      services: this.#services(),
      asked: () => this.#scroll.toNewest(),
      cite: (source, mark) => this.#citation.show(source, mark),
    });
    this.#start = new Start(settings, say, (text) => this.ask(text));
    this.#composer = new Composer(client, say, (text) => this.#ask(text));
    this.#banner = new Banner(client, say);
    this.#notice = new Notice(say);
    this.#citation = new CitationCard(say, this.#log);
    this.#assistants = new Assistants(
      client,
      () => client.endpoint.assistants(),
      () => this.#painter.soon(),
    );
    const announcer = make("div", { className: "visually-hidden", ariaLive: "polite" });
    this.#fill(settings, announcer);
    frame.append(this.#frame);
    this.#sheet = settings.inline ? null : new Sheet(this.#frame as HTMLDialogElement, host.close);
    this.#scroll = new ScrollFollow({
      log: this.#log,
      messages: this.#transcript.root,
      jump: this.#jump,
      composer: this.#composer.text,
    });
    this.#painter = new Painter(() => this.#paint());
    new Announcer(client, announcer, say);
    this.#whose = new Whose(client, () => this.#clear());
    this.#listen();
    if (left !== null && left.draft !== "") this.#composer.restore(left.draft);
    this.#painter.soon();
  }

  get left(): Left {
    const { session } = this.#client;
    return { session, draft: untaken(this.#client, this.#composer.text.value) };
  }

  show(): void {
    this.#sheet?.open();
    if (this.#sheet) this.#composer.focus();
    if (!this.#connected) this.#client.connect();
    this.#connected = true;
    // What was painted while it was out of sight has no height.
    this.#scroll.follow();
  }

  hide(): void {
    this.#citation.hide();
    this.#sheet?.close();
  }

  /** Nothing is left of it, in the page and at the gateway. */
  end(): void {
    this.#client.close();
    this.#banner.end();
    this.#sheet?.end();
    this.#frame.remove();
  }

  ask(text: string): void {
    this.#ask(text);
    this.#composer.focus();
  }

  /** The page has changed who asks. */
  tokenChanged(): void {
    this.#whose.changed();
  }

  /** For the page: whoever asks now finds nothing of who asked before. */
  newConversation(): void {
    this.#tokens.forget();
    this.#clear();
    this.#client.newSession();
    this.#connected = true;
  }

  #clear(): void {
    this.#composer.clear();
    this.#notice.show("");
    this.#citation.hide();
    this.#assistants.forget();
  }

  #begin(): void {
    // What did not go out would never do so from another conversation.
    const text = untaken(this.#client);
    if (text !== "") this.#composer.restore(text);
    this.#client.newSession();
    this.#composer.focus();
  }

  #ask(text: string): void {
    // To be queued: whether an answer will be in the making when the gateway reads this, nobody here can know.
    this.#client.send(text, { mode: "queue" });
    this.#scroll.toNewest();
  }

  #services(): CardServices {
    const say = this.#say;
    return {
      log: this.#log,
      say,
      around: (change) => this.#scroll.around(change),
      decide: new Approvals(this.#client).decide,
      content: (artifact) => contentOf(this.#client.endpoint, artifact),
      cards: (services) =>
        new Later(async () => {
          const { ToolCards, styles } = await import("./tools");
          adopt(this.#root, styles);
          return new ToolCards(services);
        }, say),
      files: (services) =>
        new Later(async () => {
          const { ArtifactCards, styles } = await import("./files");
          adopt(this.#root, styles);
          return new ArtifactCards(services);
        }, say),
    };
  }

  #fill(settings: Settings, announcer: HTMLElement): void {
    const say = this.#say;
    const anew = button(say("New conversation"), "button", () => this.#begin());
    const head = part(make("header", { className: "head" }, this.#title, anew), "header");
    if (!settings.inline) {
      const close = button("✕", "button close", () => this.#host.close());
      close.ariaLabel = say("Close");
      head.append(close);
    }
    // Not live: a log would read out every token. The finished answer is announced below.
    this.#log.setAttribute("role", "log");
    this.#log.ariaLive = "off";
    this.#log.ariaLabel = say("Conversation");
    this.#log.append(this.#start.root, this.#older, this.#transcript.root);
    const stage = make("div", { className: "stage" }, this.#log, this.#jump);
    this.#frame.append(head, this.#banner.root, stage, this.#notice.root, this.#composer.root);
    this.#frame.append(announcer, this.#citation.root);
  }

  #listen(): void {
    const client = this.#client;
    client.on("change", () => this.#painter.soon());
    client.on("state", (state) => {
      this.#painter.soon();
      // Where somebody else asks by now, it begins anew.
      if (state.name === "closed" && state.code !== 1000 && !this.#whose.isAsking)
        this.#host.emit("rv-error", { code: `closed_${state.code}`, message: state.why });
    });
    client.on("refused", ({ error, frame }) => {
      if (frame.type === "send") this.#composer.restore(frame.text);
      // Its card tells it.
      if (frame.type !== "approve") this.#refused(error);
    });
    client.on("error", (error) => {
      if (error.re === undefined) this.#host.emit("rv-error", facts(error));
    });
    client.on("message", ({ message: { id, role, text } }) => {
      if (role === "user") this.#host.emit("rv-message", { id, role, text, status: "complete" });
    });
    client.on("run.done", ({ run, message, status }) =>
      this.#host.emit("rv-run-done", { run, message, status }),
    );
    new Answers(client, ({ id, text, status }) =>
      this.#host.emit("rv-message", { id, role: "assistant", text, status }),
    );
    this.#frame.addEventListener("keydown", (event) => this.#onKey(event));
    // What is typed here is no shortcut of the page's.
    for (const name of ["keypress", "keyup"] as const)
      this.#frame.addEventListener(name, (event) => event.stopPropagation());
  }

  /** Escape closes what is on top; where that is the page's own part, it stops the answer. */
  #onKey(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key !== "Escape" || event.isComposing || this.#citation.isOpen) return;
    if (this.#sheet) this.#host.close();
    else this.#client.stop();
  }

  #refused(error: ErrorFrame): void {
    this.#host.emit("rv-error", facts(error));
    // A stop that came too late is no news.
    if (error.code !== "run_not_active") this.#notice.show(errorText(error, this.#say));
  }

  async #loadOlder(): Promise<void> {
    try {
      await this.#client.loadOlder();
    } catch {
      this.#notice.show(this.#say("The earlier messages cannot be loaded at the moment."));
    }
  }

  #paint(): boolean {
    let left = false;
    const { current } = this.#assistants;
    const title = current?.title ?? this.#say("Chat");
    this.#title.textContent = title;
    this.#frame.ariaLabel = title;
    this.#scroll.around(() => {
      left = this.#transcript.paint();
      this.#start.show(current);
      this.#start.root.hidden = !this.#transcript.isEmpty;
      this.#older.hidden = !this.#client.conversation.older;
    });
    this.#composer.paint();
    return left;
  }
}

const facts = ({ code, message }: ErrorFrame): { code: string; message: string } => ({
  code,
  message,
});
