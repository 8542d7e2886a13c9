/** A conversation as a file: Markdown for people, JSON for programs. Pure. */
import type { SourceItem, WireMessage } from "@rivulet/client";
import type { WholeConversation } from "./api";
import { titleOf } from "./words";

/** What is said of an answer that did not simply end well. */
const ENDED: Readonly<Record<string, string>> = {
  pending: "It was still being written.",
  stopped: "It was stopped.",
  length: "It reached its longest allowed length.",
  filtered: "The model's content filter ended it.",
  incomplete: "The model broke off in the middle.",
  error: "The model failed before it could finish.",
  interrupted: "The gateway was restarted while it was being written.",
  awaiting_approval: "An action waits to be allowed.",
};

const WHO: Readonly<Record<string, string>> = { user: "Question", assistant: "Answer" };

export function asMarkdown(whole: WholeConversation): string {
  const { messages, more, created_at: begun } = whole;
  const head = [`# ${escaped(titleOf(whole))}`, `Begun on ${moment(begun)}.`];
  if (more) head.push("*What was said before this is not in this file.*");
  return `${[...head, ...messages.flatMap(part)].join("\n\n")}\n`;
}

/** As the gateway tells it, with nothing left out. */
export function asJson(whole: WholeConversation): string {
  return `${JSON.stringify(whole, null, 2)}\n`;
}

function part({ role, text, status, model, sources, created_at: at }: WireMessage): string[] {
  const by = role === "assistant" && model ? `, ${escaped(model)}` : "";
  const lines = [`## ${WHO[role] ?? escaped(role)} (${moment(at)}${by})`];
  // A question is what somebody typed: nothing in it is to become a heading of this file.
  if (text !== "") lines.push(role === "user" ? quoted(text) : closed(text));
  const ended = role === "assistant" ? ENDED[status] : undefined;
  if (ended !== undefined) lines.push(`*${ended}*`);
  if (sources?.length) lines.push("### Sources", sources.map(source).join("\n"));
  return lines;
}

function source({ n, title, page, page_end: end, place, heading, uri }: SourceItem): string {
  const pages = page !== undefined && (end ? `pages ${page} to ${end}` : `page ${page}`);
  const where = [escaped(title), pages, place && escaped(place), heading && escaped(heading)];
  const said = where.filter((one) => typeof one === "string" && one !== "").join(", ");
  return `- \\[${n}\\] ${said}${uri ? ` ${linked(uri)}` : ""}`;
}

/** A link only to where a browser may go: documents are made by anybody, and so are their addresses. */
function linked(uri: string): string {
  return /^https?:\/\/[^\s<>]+$/i.test(uri) ? `<${uri}>` : escaped(uri);
}

/** In UTC, so that the file says the same wherever it is read. */
function moment(at: string | number | undefined): string {
  const date = new Date(at ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return "at an unknown time";
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

const quoted = (text: string): string =>
  text
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n");

/** A line that opens a block of code; behind backticks there can be none. */
const FENCE = /^( {0,3})(`{3,}(?=[^`]*$)|~{3,})(.*)$/;
/** Lines that begin what only its own end ends, whatever stands between. */
const HTML = /^ {0,3}<(?:(!--)|(\?)|(!\[CDATA\[)|![a-z]|(script|pre|style|textarea)(?=[\s>]|$))/i;

/** What was begun and not ended: `end` is the line that ends it. */
interface Open {
  readonly end: string;
  endsIn(line: string): boolean;
}

/** An answer that broke off within code or HTML must not take what follows into it. */
function closed(text: string): string {
  let open: Open | null = null;
  for (const line of text.split("\n")) {
    if (open === null) open = opened(line);
    else if (open.endsIn(line)) open = null;
  }
  return open === null ? text : `${text}\n${open.end}`;
}

function opened(line: string): Open | null {
  const [, indent = "", marks] = FENCE.exec(line) ?? [];
  if (marks !== undefined) {
    const endsIn = (other: string): boolean => {
      const [, , more = "", rest = ""] = FENCE.exec(other) ?? [];
      return more.startsWith(marks) && rest.trim() === "";
    };
    // As far from the margin: within an item of a list it is this item that has it.
    return { end: indent + marks, endsIn };
  }
  const [start, comment, program, data, tag] = HTML.exec(line) ?? [];
  if (start === undefined) return null;
  const end = tag
    ? `</${tag.toLowerCase()}>`
    : ((comment && "-->") ?? (program && "?>") ?? (data && "]]>") ?? ">");
  const endsIn = (other: string): boolean => other.toLowerCase().includes(end);
  return endsIn(line.slice(start.length)) ? null : { end, endsIn };
}

/** Text that is only text, in one line. */
function escaped(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>#|~!&]/g, "\\$&");
}
