// Lenient readings of unknown JSON: what a word, a number, a time, an object may have meant. Pure,
// and total: what cannot be read is undefined, never thrown. Knows nothing of a Run.
import type * as z from "zod";

/** The one of `words` that the value spells, whatever its case and its separators. */
export function word<Word extends string>(
  value: unknown,
  words: readonly Word[],
): Word | undefined {
  if (typeof value !== "string") return undefined;
  const spelled = letters(value);
  return words.find((candidate) => letters(candidate) === spelled);
}

function letters(words: string): string {
  return words.toLowerCase().replace(/[-_\s]/g, "");
}

/** Lone surrogates are replaced, since a string with one cannot be encoded as UTF-8. */
export function text(value: unknown): string | undefined {
  if (typeof value === "string") return value.toWellFormed();
  return typeof value === "number" && Number.isFinite(value) ? String(value) : undefined;
}

/** At most `length` UTF-16 units of a well-formed text, and still well-formed. */
export function cut(words: string, length: number): string {
  const start = words.slice(0, length);
  return start.isWellFormed() ? start : start.slice(0, -1);
}

/** What looks like a key, a token or a password in an address: upstreams put them into their messages. */
const SECRETS =
  /\b(?:sk|rk|pk|key|pat|xox[a-z])-[\w*-]{4,}|\bBearer\s+[^\s"',;]+|(?<=:\/\/)[^\s/:@]*:[^\s/@]+(?=@)/gi;

/** A message for people, at most `length` UTF-16 units long. */
export function message(words: string, length: number): string {
  return cut(words.replace(SECRETS, "[hidden]"), length);
}

const NUMERAL = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;

export function number(value: unknown): number | undefined {
  const numeral = typeof value === "string" && NUMERAL.test(value.trim()) ? Number(value) : value;
  if (typeof numeral !== "number" || !Number.isFinite(numeral)) return undefined;
  // JSON can say -0, and JSON.stringify cannot.
  return numeral === 0 ? 0 : numeral;
}

/** "true", "false", 1 and 0 are booleans too. */
export function flag(value: unknown): boolean | undefined {
  const spelled = typeof value === "boolean" ? String(value) : text(value)?.trim().toLowerCase();
  if (spelled === "true" || spelled === "1") return true;
  return spelled === "false" || spelled === "0" ? false : undefined;
}

/** In seconds it is the year 5138, in milliseconds 1973: no run is on the wrong side of it. */
const LATEST_SECONDS = 1e11;

export function seconds(value: unknown): number | undefined {
  const numeral = number(value);
  const exact = numeral === undefined ? isoSeconds(value) : toSeconds(numeral);
  return exact <= LATEST_SECONDS ? Math.floor(exact) : undefined;
}

function toSeconds(numeral: number): number {
  return numeral > LATEST_SECONDS ? numeral / 1000 : numeral;
}

const ISO_TIME =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?)?\s?(?:Z|([+-]\d\d):?(\d\d)?)?$/i;

/** NaN when it is no time. Fractions of a second are left out; a time without a zone is in UTC. */
function isoSeconds(value: unknown): number {
  const parts = typeof value === "string" ? ISO_TIME.exec(value.trim()) : null;
  if (parts === null) return Number.NaN;
  const [, date, time = "00:00", zoneHours = "+00", zoneMinutes = "00"] = parts;
  return Date.parse(`${date}T${time}${zoneHours}:${zoneMinutes}`) / 1000;
}

/** Deeper than any real JSON schema, and shallow enough for every JSON encoder's stack. */
const MAX_DEPTH = 64;

/** The JSON text of a value that holds something; undefined when it is nested too deeply. */
export function jsonText(value: unknown): string | undefined {
  const plain = isDeeper(value, MAX_DEPTH) ? null : plainJson(value);
  return plain === null ? undefined : JSON.stringify(plain);
}

/** An object's members as pairs of texts, cut and dropped to fit; undefined when it is no object. */
export function textPairs(
  value: unknown,
  limits: { readonly pairs: number; readonly key: number; readonly value: number },
): Record<string, string> | undefined {
  if (!isRecord(value)) return undefined;
  const pairs = Object.entries(value).flatMap(([name, held]): [string, string][] => {
    const key = name.toWellFormed();
    const words = typeof held === "string" ? held.toWellFormed() : jsonText(held);
    const dropped = key === "__proto__" || key.length > limits.key || words === undefined;
    return dropped ? [] : [[key, cut(words, limits.value)]];
  });
  return Object.fromEntries(pairs.slice(0, limits.pairs));
}

/** An object whose keys are the tenant's own, such as a JSON schema: copied whole or not at all. */
export function freeRecord(value: unknown): unknown {
  return isRecord(value) && !isDeeper(value, MAX_DEPTH) ? plainJson(value) : undefined;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

/** A copy that JSON can carry as it is. The caller has bounded the depth. */
function plainJson(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "number") return number(value) ?? null;
  if (typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map(plainJson);
  if (!isRecord(value)) return null;
  const members = Object.entries(value).filter(([key]) => key !== "__proto__");
  return Object.fromEntries(members.map(([key, held]) => [key.toWellFormed(), plainJson(held)]));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The first own member of these names, or of their camelCase spellings, that is not null. */
export function pick(value: unknown, ...names: readonly string[]): unknown {
  if (!isRecord(value)) return undefined;
  for (const name of names.flatMap((snake) => [snake, camelCase(snake)])) {
    const held = Object.hasOwn(value, name) ? value[name] : undefined;
    if (held !== undefined && held !== null) return held;
  }
  return undefined;
}

function camelCase(snake: string): string {
  return snake.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export function compact(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, held]) => held !== undefined));
}

export function accept<Value>(schema: z.ZodType<Value>, value: unknown): Value | undefined {
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

export function keep<Value>(schema: z.ZodType<Value>, values: readonly unknown[]): Value[] {
  return values.map((value) => accept(schema, value)).filter((value) => value !== undefined);
}
