// The pages that may call: what a config may write as an origin, and which `Origin` headers it covers.

/** What a star stands for: part of one label of a host name (RFC 1123 §2.1), so no dot. */
const STAR = /^[a-z0-9-]+$/;
const LABEL_CHARACTERS = 63;
/** As apps send it (`tauri://localhost`, `chrome-extension://…`); `file://` and `qrc://` have no host. */
const APP_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[\w.~:[\]-]*$/;
const WILDCARD = /^https:\/\/([a-z0-9-]*)\*([a-z0-9-]*)\.([a-z0-9.-]+)(:\d+)?$/;
/** One whole label of a host name (RFC 1123 §2.1). */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** Second labels under which a country's registry sells names, as in `co.uk`. */
const SOLD_UNDER =
  /^(ac|asso|co|com|edu|ed|go|gob|gov|gouv|gv|id|in|ltd|me|mil|ne|net|nom|or|org|plc|sch|web)\.[a-z]{2}$/;

/** Whether a config may name it: an exact origin, or one with a star. */
export function isOrigin(text: string): boolean {
  return isExact(text) || isWildcard(text);
}

/** Whether it has a star, and so stands for origins that nobody has written down. */
export function isWildcard(text: string): boolean {
  const [, before = "", after = "", rest = ""] = WILDCARD.exec(text) ?? [];
  // A star alone, or on a name that anybody can register a neighbour of, would cover strangers.
  if (!/[a-z0-9]/.test(before + after)) return false;
  const labels = rest.split(".");
  // A dot at the end names the same host, and would hide how short the name is.
  if (!labels.every((label) => LABEL.test(label))) return false;
  if (labels.length < 2 || SOLD_UNDER.test(rest)) return false;
  return isExact(text.replace("*", "x"));
}

/** The URL parser knows the origins of the web; those of other schemes it calls `null`. */
function isExact(text: string): boolean {
  if (text.includes("*")) return false;
  const origin = URL.parse(text)?.origin;
  return origin === "null" ? APP_ORIGIN.test(text) : origin === text;
}

/** Whether an `Origin` header, compared to the letter, is one of those that a config lists. */
export function isCovered(listed: readonly string[], origin: string): boolean {
  return listed.some((one) => (one.includes("*") ? covers(one, origin) : one === origin));
}

export interface Origins {
  readonly has: (origin: string) => boolean;
}

/** As `isCovered`, for long lists: a look-up gets slower only by the wildcards of one domain. */
export function originsOf(listed: readonly string[]): Origins {
  const exact = new Set(listed.filter((one) => !one.includes("*")));
  const wildcards = listed.filter((one) => one.includes("*"));
  const byDomain = Map.groupBy(wildcards, domainOf);
  return {
    has: (origin) => exact.has(origin) || isCovered(byDomain.get(domainOf(origin)) ?? [], origin),
  };
}

/** Everything from the first dot on, which a star never reaches. */
function domainOf(origin: string): string {
  const dot = origin.indexOf(".");
  return dot < 0 ? "" : origin.slice(dot);
}

function covers(wildcard: string, origin: string): boolean {
  const [before = "", after = ""] = wildcard.split("*");
  if (!origin.startsWith(before) || !origin.endsWith(after)) return false;
  if (!STAR.test(origin.slice(before.length, origin.length - after.length))) return false;
  return origin.slice("https://".length, origin.indexOf(".")).length <= LABEL_CHARACTERS;
}
