/** Puts the documents of the page together: the list, what is on its way, the reader, and how they are opened. */

import type { RivuletClient, SourceItem } from "@rivulet/client";
import { DocumentsApi } from "../../documents/api";
import { Problem } from "../../documents/problem";
import { Shelf } from "../../documents/shelf";
import { send } from "../../documents/upload";
import { MAX_WAITING, type NewTransfer, Uploads } from "../../documents/uploads";
import type { DatasetCards } from "../dataset-cards";
import { byId } from "../element";
import { apart } from "../faults";
import type { Notices } from "../notices";
import { Painter } from "../painter";
import { save } from "../save";
import type { StatusVoice } from "../status-voice";
import { CollectionPicker } from "./collection-picker";
import type { DocumentEvents } from "./document-row";
import { DocumentsVoice } from "./documents-voice";
import { DropZone } from "./drop-zone";
import { chosenFiles, type Found } from "./dropped-files";
import { ReaderView } from "./reader-view";
import { ShelfView } from "./shelf-view";
import type { SidePanel } from "./side-panel";

export class Documents {
  readonly #api: DocumentsApi;
  readonly #notices: Notices;
  readonly #tables: DatasetCards;
  readonly #voice: DocumentsVoice;
  readonly #panel: SidePanel;
  readonly #reader: ReaderView;
  readonly #shelf: Shelf;
  readonly #uploads: Uploads;
  readonly #picker: CollectionPicker;
  readonly #painter: Painter;
  /** The document that the next chosen file is to replace. */
  #replaced: string | null = null;
  /** Whether the numbers beside the collections are those of now. */
  #counted = true;

  constructor(
    client: RivuletClient,
    notices: Notices,
    voice: StatusVoice,
    tables: DatasetCards,
    panel: SidePanel,
  ) {
    this.#api = new DocumentsApi(client.endpoint);
    this.#notices = notices;
    this.#tables = tables;
    this.#voice = new DocumentsVoice(voice);
    this.#panel = panel;
    this.#reader = new ReaderView(this.#api, (id, version) => this.#download(id, version));
    const changed = (): void => this.#painter.soon();
    this.#shelf = new Shelf(this.#api, {
      changed,
      settled: ({ status }) => this.#voice.ended(status === "ready"),
    });
    this.#uploads = new Uploads(
      (upload, progress, signal) => send(client.endpoint, upload, progress, signal),
      {
        changed,
        accepted: (_, { document, unchanged }) => {
          if (unchanged) this.#voice.ended(true);
          this.#accepted(document);
        },
        refused: () => this.#voice.ended(false),
      },
    );
    const view = new ShelfView(this.#shelf, this.#uploads, (id) => this.#eventsOf(id));
    this.#painter = new Painter(() => {
      apart(() => view.paint());
      if (!this.#uploads.busy && !this.#shelf.busy) this.#calm();
      return false;
    });
    this.#picker = new CollectionPicker(this.#api, (name) => void this.#shelf.open(name));
    this.#panel.onShelf = () => this.#load();
    this.#panel.onLeft = () => this.#reader.leave();
    new DropZone(
      () => ({
        collection: this.#picker.current,
        readOnly: this.#picker.readOnly,
        tables: this.#takesTables,
      }),
      (found) => this.#drop(found),
    );
    this.#mountChoosers();
    addEventListener("beforeunload", (event) => {
      // What is not with the gateway yet would be lost.
      if (this.#uploads.busy) event.preventDefault();
    });
    client.on("state", ({ name }) => {
      if (name !== "connected") return;
      // Whatever was cut off may go on, and what could not be loaded can be now.
      this.#uploads.wake();
      this.#shelf.wake();
      if (this.#showsDocuments && this.#shelf.problem !== null) this.#load();
    });
  }

  /** Shows the passage that an answer cites, and the sentence of it that supports `claim`. */
  openSource(source: SourceItem, claim: string): void {
    this.#panel.showReader(source.title);
    void this.#reader.show({ document: source.document, title: source.title, source, claim });
  }

  #load(): void {
    void this.#picker.load();
    void this.#shelf.open(this.#picker.current);
  }

  #accepted(document: string): void {
    this.#counted = false;
    this.#shelf.refresh(document).catch(() => this.#shelf.open(this.#picker.current));
  }

  /** Nothing is left to be done. The gateway counts once, and not for each document that comes in. */
  #calm(): void {
    this.#voice.calm();
    if (this.#counted) return;
    this.#counted = true;
    void this.#picker.load();
  }

  /** Tables that are dropped on the conversation are asked there; beside the documents, they are documents. */
  get #takesTables(): boolean {
    return this.#tables.takes && !this.#showsDocuments;
  }

  get #showsDocuments(): boolean {
    return this.#panel.isOpen && this.#panel.shows !== "memories";
  }

  #drop(found: Found): void {
    const { files, cut, unreadable } = found;
    if (!this.#takesTables) {
      this.#take(found);
      return;
    }
    const rest = new Set(this.#tables.take(files.map(({ file }) => file)));
    const others = files.filter(({ file }) => rest.has(file));
    if (others.length > 0 || files.length === 0 || cut || unreadable > 0)
      this.#take({ ...found, files: others });
  }

  #take({ files, cut, unreadable }: Found): void {
    if (this.#picker.readOnly) {
      this.#notices.show(`“${this.#picker.current}” can only be read. Choose another collection.`);
      return;
    }
    if (this.#panel.shows !== "shelf") this.#panel.showShelf();
    const taken = this.#send(files);
    if (cut || taken < files.length)
      this.#notices.show(
        `Only ${taken} of the files were taken. Add the others when these are done.`,
      );
    if (unreadable > 0) this.#notices.show(`${unreadable} could not be read from the disk.`);
    if (files.length === 0 && unreadable === 0) this.#notices.show("There are no files in it.");
  }

  #send(files: readonly NewTransfer[]): number {
    const taken = this.#uploads.add(files, this.#picker.current);
    if (taken > 0) this.#voice.sending(taken);
    if (taken === 0 && files.length > 0)
      this.#notices.show(`There are ${MAX_WAITING} files on their way already.`);
    return taken;
  }

  #mountChoosers(): void {
    const choosers = [
      ["choose-files", "files"],
      ["choose-folder", "folder"],
    ] as const;
    for (const [opener, field] of choosers) {
      const input = byId<HTMLInputElement>(field);
      byId(opener).addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        this.#take(chosenFiles([...(input.files ?? [])]));
        // The same file can be chosen again.
        input.value = "";
      });
    }
    const input = byId<HTMLInputElement>("replacement");
    input.addEventListener("change", () => {
      const [file] = input.files ?? [];
      if (file && this.#replaced !== null) this.#send([{ file, document: this.#replaced }]);
      this.#replaced = null;
      input.value = "";
    });
  }

  #eventsOf(id: string): DocumentEvents {
    const then = (step: Promise<void>): Promise<void> => step.then(() => this.#shelf.refresh(id));
    const titleOf = (): string => this.#find(id)?.title ?? "";
    const jobOf = (): string => this.#find(id)?.job?.job ?? "";
    return {
      open: () => {
        this.#panel.showReader(titleOf());
        void this.#reader.show({ document: id, title: titleOf() });
      },
      replace: () => {
        this.#replaced = id;
        byId<HTMLInputElement>("replacement").click();
      },
      cancel: () => then(this.#api.cancel(jobOf())),
      retry: () => then(this.#api.retry(jobOf())),
      release: () => then(this.#api.release(id)),
      remove: () => this.#remove(id, titleOf()),
      download: (version) => this.#download(id, version),
      versions: () => this.#api.versions(id),
      rollBack: (version) => then(this.#api.rollBack(id, version)),
    };
  }

  #find(id: string) {
    return this.#shelf.documents.find(({ document }) => document === id);
  }

  async #remove(id: string, title: string): Promise<void> {
    try {
      await this.#api.remove(id);
    } catch (error) {
      // Somebody else was faster.
      if (!(error instanceof Problem) || error.status !== 404) throw error;
    }
    this.#shelf.drop(id);
    this.#voice.said(`“${title}” was deleted.`);
    await this.#picker.load();
  }

  /** By a request of the page: a link alone would not say who asks. */
  async #download(id: string, version: number): Promise<void> {
    const { versions } = await this.#api.versions(id);
    const name = versions.find((one) => one.version === version)?.name ?? "document";
    save(await this.#api.original(id, version), name);
  }
}
