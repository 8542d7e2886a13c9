/** The files that somebody drops or chooses, with those in folders, each with its path below what was given. */
import type { NewTransfer } from "../../documents/uploads";

/** The most files of one drop. */
export const MAX_FILES = 1_000;
/** A folder that is deeper is a mistake, or a circle. */
const MAX_DEPTH = 16;

export interface Found {
  files: NewTransfer[];
  /** There were more than may be taken at once. */
  cut: boolean;
  /** Folders and files that the browser could not read. */
  unreadable: number;
}

/** To be called within the event: later there is nothing in it any more. */
export function droppedFiles(data: DataTransfer): Promise<Found> {
  const files = [...data.files];
  const entries = [...data.items].flatMap((item) => {
    const entry = item.kind === "file" ? item.webkitGetAsEntry() : null;
    return entry ? [entry] : [];
  });
  return entries.length > 0 ? fromEntries(entries) : Promise.resolve(chosenFiles(files));
}

/** Files of an `<input>`, also of one that takes a folder. */
export function chosenFiles(files: readonly File[]): Found {
  const seen = files
    .map((file) => ({ file, path: file.webkitRelativePath || undefined }))
    .filter(({ file, path }) => !isHidden(path ?? file.name));
  return { files: seen.slice(0, MAX_FILES), cut: seen.length > MAX_FILES, unreadable: 0 };
}

async function fromEntries(entries: readonly FileSystemEntry[]): Promise<Found> {
  const found: Found = { files: [], cut: false, unreadable: 0 };
  for (const entry of entries) await walk(entry, 0, found);
  return found;
}

async function walk(entry: FileSystemEntry, depth: number, found: Found): Promise<void> {
  if (isHidden(entry.name)) return;
  if (found.files.length >= MAX_FILES || depth > MAX_DEPTH) {
    found.cut = true;
    return;
  }
  try {
    if (entry.isFile) {
      const file = await fileOf(entry as FileSystemFileEntry);
      const path = depth > 0 ? entry.fullPath.replace(/^\//, "") : undefined;
      found.files.push({ file, path });
    } else
      for (const child of await childrenOf(entry as FileSystemDirectoryEntry))
        await walk(child, depth + 1, found);
  } catch {
    // The browser says no more than that. The others are not to suffer, and it is told how many these were.
    found.unreadable++;
  }
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> =>
  new Promise((resolve, reject) => entry.file(resolve, reject));

/** A browser gives the children of a folder a hundred at a time. */
async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const children: FileSystemEntry[] = [];
  while (children.length <= MAX_FILES) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) break;
    children.push(...some);
  }
  return children.sort((a, b) => a.name.localeCompare(b.name));
}

/** What a system keeps for itself, as `.DS_Store`, and all below it. */
function isHidden(path: string): boolean {
  return path.split("/").some((part) => part.startsWith("."));
}
