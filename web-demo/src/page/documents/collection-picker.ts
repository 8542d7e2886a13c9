/** Which collection is shown; new ones, and the end of one. */
import type { DocumentsApi } from "../../documents/api";
import { problemText } from "../../documents/problem";
import { type CollectionInfo, DEFAULT_COLLECTION, isShared } from "../../documents/wire";
import { counted } from "../../documents/words";
import { byId, make } from "../element";
import { confirm } from "./confirmation";

const ELSEWHERE =
  "Answers on this page use the collection “default”. This one is for programs that name it.";
const SHARED =
  "This collection is shared with you: you can read it, and only its owner can change it.";

export class CollectionPicker {
  readonly #api: DocumentsApi;
  readonly #chosen: (collection: string) => void;
  readonly #select = byId<HTMLSelectElement>("collection");
  readonly #new = byId<HTMLButtonElement>("collection-new");
  readonly #delete = byId<HTMLButtonElement>("collection-delete");
  readonly #form = byId<HTMLFormElement>("collection-form");
  readonly #name = byId<HTMLInputElement>("collection-name");
  readonly #ask = byId("collection-ask");
  readonly #note = byId("collection-note");
  readonly #drop = byId("shelf-drop");
  #collections: readonly CollectionInfo[] = [];
  #current = DEFAULT_COLLECTION;

  constructor(api: DocumentsApi, chosen: (collection: string) => void) {
    this.#api = api;
    this.#chosen = chosen;
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
    this.#new.addEventListener("click", () => this.#unfold(this.#form.hidden !== false));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#make(this.#name.value);
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#unfold(false);
      this.#new.focus();
    });
    this.#delete.addEventListener("click", () => this.#confirm());
    this.#paint();
  }

  get current(): string {
    return this.#current;
  }

  /** Whether it can only be read. */
  get readOnly(): boolean {
    return isShared(this.#current);
  }

  /** Asks for the list anew. What fails here fails for the documents too, which say so. */
  async load(): Promise<void> {
    try {
      this.#collections = await this.#api.collections();
    } catch {
      return;
    }
    const there = this.#collections.some(({ name }) => name === this.#current);
    if (!there) this.#choose(DEFAULT_COLLECTION);
    this.#paint();
  }

  #choose(name: string): void {
    this.#current = name;
    this.#ask.replaceChildren();
    this.#paint();
    this.#chosen(name);
  }

  #paint(): void {
    const names = this.#collections.filter(({ deleting }) => !deleting);
    const known = names.some(({ name }) => name === this.#current);
    const options = names.map(({ name, documents }) => {
      const facts = isShared(name) ? `${documents}, read-only` : documents;
      return make("option", { value: name, textContent: `${name} (${facts})` });
    });
    if (!known) options.push(make("option", { value: this.#current, textContent: this.#current }));
    this.#select.replaceChildren(...options);
    this.#select.value = this.#current;
    const shared = isShared(this.#current);
    const other = this.#current !== DEFAULT_COLLECTION;
    this.#delete.hidden = shared || !other;
    this.#drop.hidden = shared;
    this.#say(shared ? SHARED : other ? ELSEWHERE : "");
  }

  #say(note: string): void {
    this.#note.hidden = note === "";
    this.#note.textContent = note;
  }

  #unfold(open: boolean): void {
    this.#form.hidden = !open;
    this.#new.setAttribute("aria-expanded", String(open));
    this.#name.value = "";
    if (open) this.#name.focus();
  }

  async #make(name: string): Promise<void> {
    try {
      await this.#api.makeCollection(name);
    } catch (error) {
      this.#say(problemText(error));
      return;
    }
    this.#unfold(false);
    this.#choose(name);
    this.#select.focus();
    await this.load();
  }

  #confirm(): void {
    const name = this.#current;
    const count = this.#collections.find((one) => one.name === name)?.documents ?? 0;
    confirm(this.#ask, {
      question: `Delete the collection “${name}”?`,
      consequence: `${counted(count, "document")} in it will be gone. This cannot be undone.`,
      yes: "Delete it",
      no: "Keep it",
      confirmed: () => void this.#remove(name),
      kept: () => this.#delete.focus(),
    });
  }

  async #remove(name: string): Promise<void> {
    this.#select.focus();
    try {
      await this.#api.removeCollection(name);
    } catch (error) {
      this.#say(problemText(error));
      return;
    }
    this.#collections = this.#collections.filter((one) => one.name !== name);
    this.#choose(DEFAULT_COLLECTION);
    await this.load();
  }
}
