/** Where the values of a chart lie on its axes, and which of them are written there. */

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface Axis {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly Tick[];
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MONTH = 30.44 * DAY;
const YEAR = 365.25 * DAY;

/** Steps of times, in what they are counted by. */
const TIME_STEPS: readonly (readonly [ms: number, unit: "ms" | "month" | "year", count: number])[] =
  [
    ...[SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND].map((ms) => [ms, "ms", ms] as const),
    ...[MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE].map((ms) => [ms, "ms", ms] as const),
    ...[HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR].map((ms) => [ms, "ms", ms] as const),
    ...[DAY, 2 * DAY, 7 * DAY, 14 * DAY].map((ms) => [ms, "ms", ms] as const),
    ...[1, 3, 6].map((count) => [count * MONTH, "month", count] as const),
    ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000].map(
      (count) => [count * YEAR, "year", count] as const,
    ),
  ];

/** What is smaller is nothing beside what else is drawn. */
const SMALLEST = 1e-100;
/** More than any axis has: a bound for what should end by itself. */
const MOST_TICKS = 50;

/** Numbers, with ends and steps of 1, 2 or 5 times a power of ten. */
export function numberAxis(min: number, max: number, wanted: number): Axis {
  const [low, high] = distinct(min, max);
  const step = niceStep((high - low) / Math.max(1, wanted));
  const first = Math.floor(low / step + 1e-9);
  const count = Math.min(Math.ceil(high / step - 1e-9) - first, MOST_TICKS);
  const format = numberFormat(step, Math.max(Math.abs(low), Math.abs(high)));
  const ticks = [];
  for (let index = 0; index <= count; index++) {
    // Not a sum of steps: that would not come out even.
    const at = (first + index) * step;
    ticks.push({ at, label: format.format(at) });
  }
  return { from: first * step, to: (first + count) * step, ticks };
}

/** Times in UTC, at whole hours, days, months or years; from the first to the last of them. */
export function timeAxis(min: number, max: number, wanted: number): Axis {
  const [from, to] = min < max ? [min, max] : [min - DAY, min + DAY];
  const rough = (to - from) / Math.max(1, wanted);
  const [, unit, count] = TIME_STEPS.find(([ms]) => ms >= rough) ?? [0, "year", 5_000];
  const format = timeFormat(unit, count);
  const ticks: Tick[] = [];
  let at = firstTime(from, unit, count);
  while (at <= to && ticks.length < MOST_TICKS) {
    if (at >= from) ticks.push({ at, label: format.format(at) });
    at = nextTime(at, unit, count);
  }
  return { from, to, ticks };
}

/** A time by itself, with as much as tells all of them apart. */
export function timeText(ms: number, all: readonly number[]): string {
  const whole = (unit: number): boolean => all.every((one) => one % unit === 0);
  const first = (one: number): boolean => new Date(one).getUTCDate() === 1;
  const options: Intl.DateTimeFormatOptions = !whole(DAY)
    ? { dateStyle: "medium", timeStyle: whole(MINUTE) ? "short" : "medium" }
    : all.length > 1 && all.every(first)
      ? { month: "short", year: "numeric" }
      : { dateStyle: "medium" };
  return new Intl.DateTimeFormat(undefined, { ...options, timeZone: "UTC" }).format(ms);
}

const usual = new Intl.NumberFormat(undefined, { maximumFractionDigits: 3 });
const odd = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });

/** As exactly as it is read; tables and files have all digits. */
export function numberText(value: number): string {
  const size = Math.abs(value);
  return size === 0 || (size >= 0.01 && size < 1e15) ? usual.format(value) : odd.format(value);
}

/** Ends that lie so far apart that numbers between them can be told from each other. */
function distinct(min: number, max: number): [number, number] {
  const size = Math.max(Math.abs(min), Math.abs(max));
  if (size < SMALLEST) return [-1, 1];
  return max - min > size * 1e-9 ? [min, max] : [min - size / 2, max + size / 2];
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5].find((one) => one * power >= rough * (1 - 1e-9)) ?? 10;
  return factor * power;
}

function numberFormat(step: number, largest: number): Intl.NumberFormat {
  if (largest >= 1e15 || step < 1e-9)
    return new Intl.NumberFormat(undefined, { notation: "scientific", maximumFractionDigits: 3 });
  if (largest >= 1e5)
    return new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 2 });
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return new Intl.NumberFormat(undefined, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function timeFormat(unit: "ms" | "month" | "year", count: number): Intl.DateTimeFormat {
  const options: Intl.DateTimeFormatOptions =
    unit === "year"
      ? { year: "numeric" }
      : unit === "month"
        ? { month: "short", year: "numeric" }
        : count >= DAY
          ? { day: "numeric", month: "short" }
          : { hour: "2-digit", minute: "2-digit", ...(count < MINUTE && { second: "2-digit" }) };
  return new Intl.DateTimeFormat(undefined, { ...options, timeZone: "UTC" });
}

function firstTime(from: number, unit: "ms" | "month" | "year", count: number): number {
  if (unit === "ms") return Math.ceil(from / count) * count;
  const date = new Date(from);
  const year = date.getUTCFullYear();
  return unit === "year"
    ? Date.UTC(Math.floor(year / count) * count, 0)
    : Date.UTC(year, Math.floor(date.getUTCMonth() / count) * count);
}

function nextTime(at: number, unit: "ms" | "month" | "year", count: number): number {
  if (unit === "ms") return at + count;
  const date = new Date(at);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  return unit === "year" ? Date.UTC(year + count, 0) : Date.UTC(year, month + count);
}
