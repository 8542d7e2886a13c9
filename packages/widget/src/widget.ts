/**
 * `<rivulet-chat>`: the launcher, and nothing else until it is opened. A page may have it in its HTML, or let the
 * `<script>` that loads this put one at its corner. The panel shares no code with this file at run time: it is loaded by a
 * name of its own, whatever address this one was loaded from.
 */
import type { RivuletChatElement, RivuletChatEvents, Token } from "./api";
import type { Left, Panel } from "./panel";
import {
  ATTRIBUTES,
  directionOf,
  inkOn,
  isSameConversation,
  LOOKS,
  launcherWords,
  type Settings,
  settingsOf,
} from "./settings";
import styles from "./styles/launcher.css?inline";

const BUBBLE = "M4 5h16v11H9l-5 4V5Z";
const CROSS = "M6 6l12 12M18 6 6 18";
/** Where this program was loaded from: the gateway, unless a page has it among its own. */
const HOME = import.meta.url;

export class RivuletChat extends HTMLElement implements RivuletChatElement {
  static readonly observedAttributes = ATTRIBUTES;

  #token: Token | null = tokenBefore(this);
  readonly #root: ShadowRoot;
  readonly #frame = document.createElement("div");
  readonly #launcher = document.createElement("button");
  #settings: Settings | null = null;
  #panel: Promise<Panel> | null = null;
  /** The one that is there. */
  #loaded: Panel | null = null;
  #open = false;
  #renewing = false;
  /** An empty conversation is wanted, once there is a panel. */
  #anew = false;
  /** Of the panel before, for the next one. */
  #left: Left | null = null;

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    this.#root.adoptedStyleSheets = [sheet];
    this.#frame.className = "frame";
    this.#launcher.type = "button";
    this.#launcher.className = "launcher";
    this.#launcher.setAttribute("part", "launcher");
    this.#launcher.addEventListener("click", () => this.toggle());
    this.#frame.append(this.#launcher);
    this.#root.append(this.#frame);
  }

  get token(): Token | null {
    return this.#token;
  }

  set token(token: Token | null) {
    const changed = token !== this.#token;
    this.#token = token;
    if (!changed) return;
    // It may be of somebody else.
    this.#left = null;
    this.#loaded?.tokenChanged();
  }

  get isOpen(): boolean {
    return this.#open;
  }

  connectedCallback(): void {
    const language = this.closest<HTMLElement>("[lang]")?.lang ?? "";
    const settings = settingsOf((name) => this.getAttribute(name), language, HOME);
    this.#settings = settings;
    this.#frame.lang = settings.locale;
    this.#frame.dir = directionOf(settings.locale);
    this.#launcher.hidden = settings.inline;
    this.#look();
    this.#tell();
    if (settings.inline) this.open().catch(reportError);
  }

  disconnectedCallback(): void {
    this.#leave();
    this.#settings = null;
    this.#open = false;
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (this.#settings === null || before === now) return;
    if (LOOKS.has(name)) this.#look();
    else this.#renew();
  }

  async open(): Promise<void> {
    const settings = this.#settings;
    if (settings === null) throw new Error("<rivulet-chat> is in no page");
    const wasOpen = this.#open;
    this.#open = true;
    this.#tell();
    let panel: Panel;
    try {
      panel = await this.#load(settings);
    } catch (error) {
      // Of an older panel: another one is wanted by now.
      if (this.#settings === settings) this.#failed();
      throw error;
    }
    this.#launcher.hidden = settings.inline;
    // Closed, or taken out of the page, while it was loaded.
    if (!this.#open || this.#loaded !== panel) return;
    panel.show();
    if (!wasOpen) this.#emit("rv-open", null);
  }

  close(): void {
    if (!this.#open || this.#settings?.inline) return;
    // Not where a program closes it, and the reader is elsewhere.
    const inside = this.#root.activeElement !== null;
    this.#open = false;
    this.#tell();
    this.#loaded?.hide();
    if (inside) this.#launcher.focus();
    this.#emit("rv-close", null);
  }

  toggle(): void {
    if (this.#open) this.close();
    else this.open().catch(reportError);
  }

  async ask(text: string): Promise<void> {
    await this.open();
    this.#loaded?.ask(text);
  }

  newConversation(): void {
    if (this.#loaded) this.#loaded.newConversation();
    else [this.#anew, this.#left] = [true, null];
  }

  #load(settings: Settings): Promise<Panel> {
    this.#panel ??= import("./panel").then(async ({ Panel }) => {
      const panel = await Panel.make(
        this.#frame,
        this.#root,
        settings,
        {
          token: () => this.token,
          close: () => this.close(),
          emit: (name, detail) => this.#emit(name, detail),
        },
        this.#left,
      );
      // Another one is wanted by now.
      if (this.#settings !== settings) panel.end();
      else this.#take(panel);
      return panel;
    });
    return this.#panel;
  }

  #take(panel: Panel): void {
    this.#loaded = panel;
    this.#left = null;
    if (this.#anew) panel.newConversation();
    this.#anew = false;
  }

  #failed(): void {
    this.#panel = null;
    this.#open = false;
    if (this.#settings === null) return;
    const [, , failed] = launcherWords(this.#settings.locale);
    this.#launcher.hidden = false;
    this.#tell(failed);
    this.#emit("rv-error", { code: "not_loaded", message: failed });
  }

  /** Once, however many attributes are changed together. */
  #renew(): void {
    if (this.#renewing) return;
    this.#renewing = true;
    queueMicrotask(() => {
      this.#renewing = false;
      if (!this.isConnected) return;
      const [wasOpen, before] = [this.#open, this.#settings];
      const left = this.#loaded?.left ?? this.#left;
      this.#leave();
      this.#open = false;
      this.connectedCallback();
      const now = this.#settings;
      this.#left = before && now && isSameConversation(before, now) ? left : null;
      if (wasOpen) this.open().catch(reportError);
    });
  }

  #leave(): void {
    this.#loaded?.end();
    this.#loaded = null;
    this.#panel = null;
  }

  #look(): void {
    const accent = this.getAttribute("accent");
    const { style, dataset } = this.#frame;
    for (const [name, value] of [
      ["--rv-accent", accent],
      ["--rv-accent-text", accent && inkOn(accent)],
    ] as const)
      if (value) style.setProperty(name, value);
      else style.removeProperty(name);
    dataset.theme = this.getAttribute("theme") ?? "auto";
    dataset.mode = this.#settings?.inline ? "inline" : "bubble";
  }

  #tell(trouble = ""): void {
    if (this.#settings === null) return;
    const [open, close] = launcherWords(this.#settings.locale);
    this.#launcher.ariaLabel = trouble || (this.#open ? close : open);
    this.#launcher.title = trouble;
    this.#launcher.ariaExpanded = String(this.#open);
    this.#launcher.replaceChildren(drawing(this.#open ? CROSS : BUBBLE));
  }

  #emit<Name extends keyof RivuletChatEvents>(
    name: Name,
    detail: RivuletChatEvents[Name]["detail"],
  ): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** A page may have set it before this program was there: what stands there then hides the property of this class. */
function tokenBefore(element: { token?: Token | null }): Token | null {
  if (!Object.hasOwn(element, "token")) return null;
  const { token = null } = element;
  delete element.token;
  return token;
}

function drawing(path: string): SVGElement {
  const svg = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(svg, "svg");
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg, "path");
  line.setAttribute("d", path);
  picture.append(line);
  return picture;
}

/** One for each `<script>` of this address that says something of it. */
function fromScripts(): void {
  for (const script of document.querySelectorAll<HTMLScriptElement>("script[type=module][src]")) {
    if (script.src !== HOME) continue;
    const told = ATTRIBUTES.filter((name) => script.hasAttribute(`data-${name}`));
    if (told.length === 0) continue;
    const chat = document.createElement("rivulet-chat");
    for (const name of told) chat.setAttribute(name, script.getAttribute(`data-${name}`) ?? "");
    document.body.append(chat);
  }
}

/** Loaded twice from two addresses, the first one stays. */
if (customElements.get("rivulet-chat") === undefined) {
  customElements.define("rivulet-chat", RivuletChat);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", fromScripts);
  else fromScripts();
}
