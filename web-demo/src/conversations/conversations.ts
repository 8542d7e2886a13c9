/** The conversations of who sits here, joined: the list, where it stands, where it comes from, and the address. */
import type { RivuletClient, SessionStorageLike } from "@rivulet/client";
import { byId } from "../page/element";
import type { SignIn } from "../sign-in/sign-in";
import { Address } from "./address";
import { type ConversationInfo, ConversationsApi } from "./api";
import { Catalogue } from "./catalogue";
import { Drawer } from "./drawer";
import { ConversationList } from "./list";
import { Opened } from "./opened";
import { ofTheGateway, ofThisBrowser } from "./source";
import { titleOf } from "./words";

export interface ConversationsParts {
  readonly signIn: SignIn;
  /** What all tabs share; `null` where the browser has none. */
  readonly storage: SessionStorageLike | null;
  /** The page without its query. */
  readonly here: string;
  /** Changes the width of the conversation, and keeps in sight what is. */
  around(change: () => void): void;
  /** Something is otherwise, and is to be painted. */
  changed(): void;
  /** Shows one that there is, or an empty one (`null`). */
  show(session: string | null): void;
  /** The user begins an empty one. */
  begin(): void;
  /** Asks whether it is to be deleted, and does so. */
  remove(conversation: ConversationInfo): void;
  say(text: string): void;
}

/** Whose conversations are listed: of who is signed in, those of this browser, or nobody's before somebody signs in. */
type Whose = "own" | "browser" | "nobody";

/** So much of the first question stands for a title that is not known. */
const STAND_IN_CHARS = 80;

export class Conversations {
  readonly api: ConversationsApi;
  readonly address: Address;
  readonly #client: RivuletClient;
  readonly #parts: ConversationsParts;
  readonly #opened: Opened;
  readonly #catalogue: Catalogue;
  readonly #drawer: Drawer;
  readonly #list: ConversationList;
  #whose: Whose | null = null;
  /** The list was asked for, or it will be when somebody looks. */
  #isListed = false;
  /** The open one that the list was asked for already. */
  #met: string | null = null;
  #isPrinting = false;

  constructor(client: RivuletClient, parts: ConversationsParts) {
    this.#client = client;
    this.#parts = parts;
    this.api = new ConversationsApi(client.endpoint);
    this.#opened = new Opened(parts.storage);
    this.#catalogue = new Catalogue(this.api, parts.changed);
    this.#drawer = new Drawer(parts.storage, parts.around);
    this.address = new Address(client, parts.here, parts.show);
    this.#list = new ConversationList(this.#catalogue, {
      current: () => client.session,
      address: (session) => this.address.of(session),
      open: (session) => {
        this.#drawer.makeWay();
        if (session === client.session) return;
        this.address.leadTo(session);
        parts.show(session);
      },
      begin: () => {
        this.#drawer.makeWay();
        parts.begin();
      },
      remove: parts.remove,
      say: parts.say,
      note: () => (this.#whose === "nobody" ? "Sign in to see your conversations." : null),
    });
    this.#drawer.onOpen = () => this.#look();
    parts.signIn.on("change", () => void this.#learn());
    parts.signIn.on("entered", ({ other }) => {
      // What stood there is of somebody else.
      if (other) this.#whose = null;
      void this.#learn();
    });
    for (const name of ["beforeprint", "afterprint"])
      window.addEventListener(name, ({ type }) => {
        this.#isPrinting = type === "beforeprint";
        this.#name();
      });
    void this.#learn();
  }

  paint(): void {
    const { session, conversation } = this.#client;
    this.address.paint();
    if (session !== null && conversation.messages.length > 0) this.#meet(session);
    this.#list.paint();
    byId("print-title").textContent = this.#title();
    byId("print-part").hidden = !conversation.older;
    this.#name();
  }

  /** It was deleted, or never was. */
  gone(session: string): void {
    this.#opened.drop(session);
    if (byId("conversations").contains(document.activeElement)) this.#list.focusAfter(session);
    this.#catalogue.drop(session);
    if (session === this.#client.session) this.#drawer.makeWay();
  }

  /** One that is open, and has something in it, is in the list. */
  #meet(session: string): void {
    if (this.#whose === null || this.#met === session) return;
    this.#met = session;
    if (this.#whose === "browser") this.#opened.add(session);
    const { items, part } = this.#catalogue;
    const isThere = part !== "" || items.some(({ session_id: id }) => id === session);
    if (this.#isListed && !isThere) void this.#catalogue.refresh();
  }

  /** Finds out whose conversations are to be listed. */
  async #learn(): Promise<void> {
    const whose = await this.#find();
    if (whose === this.#whose) return;
    this.#whose = whose;
    this.#isListed = false;
    this.#met = null;
    this.#list.clear();
    await this.#catalogue.from(null);
    if (this.#drawer.isOpen) this.#look();
    this.#parts.changed();
  }

  async #find(): Promise<Whose> {
    const { signIn } = this.#parts;
    if (signIn.standing.name === "in") return "own";
    if (signIn.standing.name === "needed") return "nobody";
    try {
      return (await signIn.mayAsk()) ? "browser" : "nobody";
    } catch {
      // The connection tells that the gateway cannot be reached; to list those of this browser does no harm.
      return "browser";
    }
  }

  /** Somebody looks at the list. */
  #look(): void {
    if (this.#isListed) {
      // It may have changed on another device.
      if (this.#catalogue.part === "" && !this.#catalogue.loading) void this.#catalogue.refresh();
      return;
    }
    if (this.#whose === null) return;
    this.#isListed = true;
    const own = this.#whose === "own";
    const source = own ? ofTheGateway(this.api) : ofThisBrowser(this.api, this.#opened);
    void this.#catalogue.from(this.#whose === "nobody" ? null : source);
  }

  /**
   * Names the tab, and what is printed: a browser proposes it for the file. A browser keeps the name of a tab among what was
   * visited, also after whoever was signed in has left: theirs has none.
   */
  #name(): void {
    const title = this.#whose === "browser" || this.#isPrinting ? this.#title() : "";
    const named = title === "" ? "Rivulet" : `${title} · Rivulet`;
    if (document.title !== named) document.title = named;
  }

  /** What the open one is called, as far as that is known. */
  #title(): string {
    const { session, conversation } = this.#client;
    const listed = this.#catalogue.items.find(({ session_id: id }) => id === session);
    if (listed) return titleOf(listed);
    const [first] = conversation.messages;
    if (first === undefined || conversation.older) return "";
    const line = first.text.trim().split("\n", 1)[0] ?? "";
    return [...line].slice(0, STAND_IN_CHARS).join("");
  }
}
