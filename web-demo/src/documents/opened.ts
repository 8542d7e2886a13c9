/**
 * A document that is being read: some of its passages, with the text that they stand in. The rest comes when it is
 * asked for, for a document may have thousands.
 */
import type { SourceItem } from "@rivulet/client";
import type { DocumentsApi } from "./api";
import { Problem } from "./problem";
import type { DocumentInfo, Passage } from "./wire";

/** So many passages are shown on either side of the one that is wanted, and added at a time. */
const BESIDE = 3;
const ADDED = 8;
/** A line of a passage by which it can be found again has at least so many characters. */
const TELLING = 20;

export class OpenedDocument {
  readonly info: DocumentInfo;
  readonly #api: DocumentsApi;
  readonly #bytes: Uint8Array;
  readonly #chunks: number;
  #passages: readonly Passage[] = [];
  /** The passage that was looked for. */
  target: Passage | null = null;

  private constructor(api: DocumentsApi, info: DocumentInfo, bytes: Uint8Array, chunks: number) {
    this.#api = api;
    this.info = info;
    this.#bytes = bytes;
    this.#chunks = chunks;
  }

  /** At the passage that a source names, where it is still there; else at the beginning. */
  static async open(api: DocumentsApi, id: string, source?: SourceItem): Promise<OpenedDocument> {
    const info = await api.document(id);
    const [bytes, chunks] = await Promise.all([api.text(id), chunksOf(api, info)]);
    const opened = new OpenedDocument(api, info, bytes, chunks);
    if (source) opened.target = await opened.#find(source);
    const at = opened.target?.chunk ?? 0;
    const first = Math.max(0, at - BESIDE);
    const last = opened.target ? at + BESIDE : ADDED - 1;
    opened.#passages = await opened.#load(first, last);
    return opened;
  }

  get passages(): readonly Passage[] {
    return this.#passages;
  }

  get hasEarlier(): boolean {
    return this.#from > 0;
  }

  get hasLater(): boolean {
    return this.#to < this.#bytes.length;
  }

  async earlier(): Promise<void> {
    const first = this.#passages[0]?.chunk ?? 0;
    const added = await this.#load(Math.max(0, first - ADDED), first - 1);
    this.#passages = [...added, ...this.#passages];
  }

  async later(): Promise<void> {
    const last = this.#passages.at(-1)?.chunk ?? -1;
    this.#passages = [...this.#passages, ...(await this.#load(last + 1, last + ADDED))];
  }

  /** The text of all that is loaded, with what stands between the passages. */
  get text(): string {
    return decode(this.#bytes.subarray(this.#from, this.#to));
  }

  /** Where in `text` a byte of the document stands. */
  offsetOf(byte: number): number {
    const to = Math.min(Math.max(byte, this.#from), this.#to);
    return decode(this.#bytes.subarray(this.#from, to)).length;
  }

  /** The first passage begins where the document does: a heading above it is no part of it. */
  get #from(): number {
    const first = this.#passages[0];
    return first === undefined || first.chunk === 0 ? 0 : first.start;
  }

  get #to(): number {
    const last = this.#passages.at(-1);
    const whole = last === undefined || last.chunk >= this.#chunks - 1;
    return whole ? this.#bytes.length : last.end;
  }

  async #load(first: number, last: number): Promise<Passage[]> {
    const end = Math.min(last, this.#chunks - 1);
    const numbers = Array.from({ length: Math.max(0, end - first + 1) }, (_, at) => first + at);
    const passages = await Promise.all(numbers.map((chunk) => this.#passage(chunk)));
    return passages;
  }

  async #passage(chunk: number): Promise<Passage> {
    const passage = await this.#api.passage(this.info.document, chunk);
    if (passage.version === this.info.indexed_version) return passage;
    throw new Problem(409, "replaced", "the document was replaced while it was being read");
  }

  /** By its number, if it still says the same there; else by its words, wherever they are now. */
  async #find({ chunk, snippet }: SourceItem): Promise<Passage | null> {
    const words = snippet.replace(/…$/, "").trim();
    if (chunk !== undefined && chunk < this.#chunks) {
      const passage = await this.#passage(chunk);
      if (bare(passage.text).startsWith(bare(words))) return passage;
    }
    const at = this.#byteOf(words);
    return at < 0 ? null : this.#passageAt(at);
  }

  #byteOf(words: string): number {
    const text = decode(this.#bytes);
    const line = words.split("\n").find((one) => one.trim().length >= TELLING);
    const whole = text.indexOf(words);
    const at = whole < 0 && line !== undefined ? text.indexOf(line.trim()) : whole;
    return at < 0 ? -1 : new TextEncoder().encode(text.slice(0, at)).length;
  }

  /** The last passage that begins there or before. */
  async #passageAt(byte: number): Promise<Passage | null> {
    let found: Passage | null = null;
    let [low, high] = [0, this.#chunks - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const passage = await this.#passage(middle);
      if (passage.start <= byte) {
        found = passage;
        low = middle + 1;
      } else high = middle - 1;
    }
    return found;
  }
}

/** `info` tells of the newest version, which need not be the one that answers. */
async function chunksOf(api: DocumentsApi, info: DocumentInfo): Promise<number> {
  if (info.indexed_version === null || info.indexed_version === info.version)
    return info.chunks ?? 0;
  const { versions } = await api.versions(info.document);
  return versions.find(({ version }) => version === info.indexed_version)?.chunks ?? 0;
}

/** Half a character at either end is none. */
function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

const bare = (text: string): string => text.replace(/\s+/g, " ").trim();
