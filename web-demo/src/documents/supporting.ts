/** Which sentence of a passage supports a sentence of an answer. Pure. */

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Made when it is needed: a browser that has none loses the mark, and not the page. */
const segments = (text: string, granularity: "sentence" | "word") =>
  new Intl.Segmenter(undefined, { granularity }).segment(text);

/** A sentence, and how many words of a claim it has. */
export interface Support extends Span {
  readonly common: number;
}

/** A line that was wrapped goes on in small letters; any other line is a sentence of its own. */
const WRAPPED = /\n(?=[ \t]*\p{Ll})/gu;
/** One word in common says little, unless there are no more. */
const FEW_WORDS = 3;

/** The sentences of a text, without the white space around them. */
export function sentencesIn(text: string): Span[] {
  const unwrapped = text.replace(WRAPPED, " ");
  const spans: Span[] = [];
  for (const { segment, index } of segments(unwrapped, "sentence")) {
    const start = index + segment.length - segment.trimStart().length;
    const end = index + segment.trimEnd().length;
    if (start < end) spans.push({ start, end });
  }
  return spans;
}

/** Each word once, whatever its case. */
export function wordsIn(text: string): Set<string> {
  const words = new Set<string>();
  for (const { segment, isWordLike } of segments(text, "word"))
    if (isWordLike) words.add(segment.normalize("NFKC").toLowerCase());
  return words;
}

/**
 * The sentence of `passage` with most words of `claim`; of two with as many, the shorter one. `null` when none
 * has more than a word by chance.
 */
export function supportingSentence(passage: string, claim: string): Support | null {
  if (!("Segmenter" in Intl)) return null;
  const wanted = wordsIn(claim);
  const least = wanted.size > FEW_WORDS ? 2 : 1;
  let best: { span: Span; common: number; length: number } | null = null;
  for (const span of sentencesIn(passage)) {
    const words = wordsIn(passage.slice(span.start, span.end));
    const common = [...wanted].filter((word) => words.has(word)).length;
    const better =
      best === null || common > best.common || (common === best.common && words.size < best.length);
    if (common >= least && better) best = { span, common, length: words.size };
  }
  return best && { ...best.span, common: best.common };
}

/** The last sentence of a text: what a mark behind it stands for. */
export function lastSentence(text: string): string {
  if (!("Segmenter" in Intl)) return text.trim();
  const span = sentencesIn(text).at(-1);
  return span ? text.slice(span.start, span.end) : "";
}
