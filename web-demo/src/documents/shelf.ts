/** The documents of one collection, as far as they were loaded, kept up to date while there is work on them. */
import { type DocumentsApi, LARGEST_PAGE, PAGE } from "./api";
import { Followers } from "./followers";
import { followJob } from "./job-events";
import { Problem, problemText } from "./problem";
import { DEFAULT_COLLECTION, type DocumentInfo, isOver, type Job } from "./wire";

/** The most documents that a search by name loads. */
export const MOST_SEARCHED = 5_000;
/** A job of which nothing is heard for so long gives way to another. */
const PATIENCE_MS = 5_000;

/** So often, and with growing rests, a document is asked for again that is told of in two ways. */
const MOST_LOOKS = 5;
const LOOK_MS = 250;

interface Events {
  changed(): void;
  /** The work on a document is over. */
  settled(document: DocumentInfo): void;
}

export class Shelf {
  readonly #api: DocumentsApi;
  readonly #events: Events;
  readonly #followers: Followers;
  /** What the list of another collection had to say is of no interest. */
  #visit = 0;
  /** What was heard of documents while a list was on its way, which may be older; `null`: deleted. */
  #since = new Map<string, DocumentInfo | null>();
  /** How often a document was looked at that is told of in two ways. */
  readonly #looks = new Map<string, number>();
  collection = DEFAULT_COLLECTION;
  documents: readonly DocumentInfo[] = [];
  more = false;
  loading = false;
  /** Why the list is not there, in words. */
  problem: string | null = null;

  constructor(api: DocumentsApi, events: Events) {
    this.#api = api;
    this.#events = events;
    this.#followers = new Followers((job, signal) =>
      followJob(api.endpoint, job, (heard) => this.#hear(heard), PATIENCE_MS, signal),
    );
  }

  /** Whether there is work on documents that is not over. */
  get busy(): boolean {
    return this.documents.some(({ job }) => job !== undefined && !isOver(job));
  }

  /** Shows another collection, or the same one anew. */
  async open(collection: string): Promise<void> {
    if (collection !== this.collection) {
      this.documents = [];
      this.more = false;
    }
    this.collection = collection;
    await this.#load(++this.#visit, undefined, PAGE);
  }

  async loadMore(limit = PAGE): Promise<void> {
    const last = this.documents.at(-1)?.document;
    if (this.loading || !this.more || last === undefined) return;
    await this.#load(this.#visit, last, limit);
  }

  /** Loads as much as a search by name may look at; `wanted` is asked before every page. */
  async loadWhile(wanted: () => boolean): Promise<void> {
    const visit = this.#visit;
    while (visit === this.#visit && this.#mayLoad() && wanted()) await this.loadMore(LARGEST_PAGE);
  }

  /** Asks for a document anew. One that is new stands first, and one that is gone goes. */
  async refresh(id: string): Promise<void> {
    try {
      const found = await this.#api.document(id);
      if (found.collection !== this.collection) return;
      const before = this.documents.find(({ document }) => document === id)?.job;
      this.#put(found);
      this.#events.changed();
      const known = before?.job === found.job?.job && before !== undefined && isOver(before);
      const torn = this.#looks.has(id);
      if (isTorn(found)) this.#lookAgain(id);
      else {
        this.#looks.delete(id);
        if (found.job && isOver(found.job) && (torn || !known)) this.#events.settled(found);
      }
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.drop(id);
      else throw error;
    }
  }

  /** It is deleted. */
  drop(id: string): void {
    const job = this.documents.find(({ document }) => document === id)?.job;
    if (job) this.#followers.forget(job.job);
    this.#looks.delete(id);
    if (this.loading) this.#since.set(id, null);
    this.documents = this.documents.filter(({ document }) => document !== id);
    this.#events.changed();
  }

  /** Asks again before long, a few times. */
  #lookAgain(id: string): void {
    const looks = this.#looks.get(id) ?? 0;
    this.#looks.set(id, looks + 1);
    if (looks >= MOST_LOOKS) return;
    setTimeout(() => void this.refresh(id).catch(() => this.#again(id)), LOOK_MS * 2 ** looks);
  }

  /** The gateway can be reached again. */
  wake(): void {
    this.#followers.wake();
  }

  #mayLoad(): boolean {
    const few = this.documents.length < MOST_SEARCHED;
    return this.more && !this.loading && few && this.problem === null;
  }

  async #load(visit: number, before: string | undefined, limit: number): Promise<void> {
    this.loading = true;
    this.problem = null;
    this.#since = new Map();
    this.#events.changed();
    try {
      const page = await this.#api.list({ collection: this.collection, before, limit });
      if (visit !== this.#visit) return;
      this.more = page.more;
      this.documents = this.#withNews(page.documents, before === undefined ? [] : this.documents);
      for (const document of this.documents) this.#watch(document);
    } catch (error) {
      if (visit === this.#visit) this.problem = problemText(error);
    } finally {
      if (visit === this.#visit) {
        this.loading = false;
        this.#events.changed();
      }
    }
  }

  /** A page of the list behind the documents that are there, with what is known better than it knows. */
  #withNews(page: readonly DocumentInfo[], there: readonly DocumentInfo[]): DocumentInfo[] {
    const known = new Set(there.map(({ document }) => document));
    const added = page.filter(({ document }) => !known.has(document));
    for (const { document } of added) known.add(document);
    const arrived = [...this.#since.values()].filter(
      (one): one is DocumentInfo => one !== null && !known.has(one.document),
    );
    return [...arrived.reverse(), ...there, ...added].flatMap((one) => {
      const news = this.#since.get(one.document);
      return news === null ? [] : [news ?? one];
    });
  }

  #put(found: DocumentInfo): void {
    if (this.loading) this.#since.set(found.document, found);
    const there = this.documents.some(({ document }) => document === found.document);
    this.documents = there
      ? this.documents.map((old) => (old.document === found.document ? found : old))
      : [found, ...this.documents];
    this.#watch(found);
  }

  #watch({ job }: DocumentInfo): void {
    if (job && !isOver(job)) this.#followers.watch(job.job);
  }

  #hear(job: Job): void {
    const old = this.documents.find(({ document }) => document === job.document);
    if (!old || (old.job?.job === job.job && job.revision < old.job.revision)) return;
    // How it ended, and what was found in it, the job does not say.
    if (isOver(job)) void this.refresh(old.document).catch(() => this.#again(old.document));
    else {
      this.#put({ ...old, job });
      this.#events.changed();
    }
  }

  /** The gateway could not be asked just now: the list, loaded anew, says how it ended. */
  #again(id: string): void {
    setTimeout(() => void this.refresh(id).catch(() => this.open(this.collection)), PATIENCE_MS);
  }
}

/** The work is over and the document does not know yet: it ended between the two being read. */
function isTorn({ status, job }: DocumentInfo): boolean {
  const ended = job?.state === "done" || job?.state === "failed";
  return ended && (status === "queued" || status === "indexing");
}
