// Hides the key that a request carried wherever the reply repeats it. Pure; keeps nothing.

const HIDDEN = "[hidden]";
/** A shorter key is a word like any other; hidden, it would take ids and names with it. */
const LEAST_KEY = 4;
/** A key so short is hidden where it stands alone. */
const LEAST_INSIDE = 8;
/** Of a longer one two fifths in a row are enough, but no fewer characters than this, and no more than that. */
const PART = { share: 0.4, least: 12, most: 24 } as const;
/** Characters that are compared at once, to find where to look closer. */
const GRAM = 4;
const MARKS = 4_096;

/** What takes one key out of replies. What has none of it comes back as it is. */
export interface KeyCutter {
  readonly inText: (text: string) => string;
  /**
   * Of parsed JSON, in place: in its texts and in the names of its members, so that what is JSON stays JSON.
   * `text`: what it was parsed from, which says whether there is anything to look for.
   */
  readonly inJson: (value: unknown, text: string) => unknown;
}

/**
 * Takes the key out whole or in long parts, as it is or in base64, percent-encoded or escaped as in JSON or HTML,
 * all of it or some of its characters, in any case. `key`: printable ASCII.
 */
export function cutterOf(key: string): KeyCutter {
  if (key.length < LEAST_KEY) return { inText: (text) => text, inJson: (value) => value };
  const placesIn = key.length < LEAST_INSIDE ? finderAlone(key) : finderInside(key);
  // Unescaped first: else a part that is not escaped would be cut out, and what is left be too short to be found.
  const inText = (text: string): string => {
    const places = ESCAPE.test(text) ? placesIn(unescaped(text)) : [];
    const starts = places.length > 0 ? startsIn(text) : [];
    const startOf = (place: number): number => starts[place] ?? text.length;
    const clean = cut(
      text,
      places.map(({ from, to }) => ({ from: startOf(from), to: startOf(to) })),
    );
    return cut(clean, placesIn(clean));
  };
  const isIn = (text: string): boolean =>
    placesIn(text).length > 0 || (ESCAPE.test(text) && placesIn(unescaped(text)).length > 0);
  // A short key may be the very name of a member that every reply has.
  const inName = key.length < LEAST_INSIDE ? (name: string) => name : inText;
  return {
    inText,
    inJson: (value, text) => (isIn(text) ? cutInside(value, inText, inName) : value),
  };
}

function cut(text: string, places: readonly Place[]): string {
  let clean = "";
  let end = 0;
  for (const { from, to } of places) {
    clean += text.slice(end, from) + HIDDEN;
    end = to;
  }
  return end === 0 ? text : clean + text.slice(end);
}

type Change = (text: string) => string;

/** Without recursion: JSON may be nested as deep as it is long. */
function cutInside(value: unknown, inText: Change, inName: Change): unknown {
  const held = [value];
  const left: object[] = [held];
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    const members = Object.entries(one);
    const isRenamed = !Array.isArray(one) && members.some(([name]) => inName(name) !== name);
    if (isRenamed) for (const [name] of members) Reflect.deleteProperty(one, name);
    for (const [name, member] of members) {
      if (typeof member === "object" && member !== null) left.push(member);
      const clean: unknown = typeof member === "string" ? inText(member) : member;
      if (!isRenamed && clean === member) continue;
      const kept = { value: clean, writable: true, enumerable: true, configurable: true };
      Object.defineProperty(one, isRenamed ? inName(name) : name, kept);
    }
  }
  return held[0];
}

/** How a character of a key may be spelled, in JSON, in an address and in HTML. */
const UNIT =
  /\\u00([2-7][0-9a-f])|%([2-7][0-9a-f])|&#x([2-7][0-9a-f]);|&#(\d{2,3});|&(amp|lt|gt|quot|apos);|\\(["\\/])/gi;
/** Where none of these is, all that is escaped is what every server has to: the spellings have that. */
const ESCAPE = /\\u00[2-7]|%[2-7][0-9a-f]|&(?:#|amp;|lt;|gt;|quot;|apos;)/i;
const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};
/** JSON in JSON in JSON. */
const LAYERS = 3;

/** Each unit becomes one character, which its groups tell. */
function characterOf(...groups: readonly (string | undefined)[]): string {
  const [inJson, inAddress, inHex, inDecimal, name, itself] = groups;
  const hex = inJson ?? inAddress ?? inHex;
  if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
  if (inDecimal !== undefined) return String.fromCharCode(Number(inDecimal));
  return name === undefined ? (itself ?? "") : (ENTITIES[name.toLowerCase()] ?? "");
}

function unescaped(text: string): string {
  let plain = text;
  for (let layer = 0; layer < LAYERS && ESCAPE.test(plain); layer += 1) {
    plain = plain.replace(UNIT, (_, ...groups: (string | undefined)[]) =>
      characterOf(...groups.slice(0, 6)),
    );
  }
  return plain;
}

/** Where each character of the unescaped text begins in the text. */
function startsIn(text: string): Uint32Array {
  let plain = text;
  let starts = Uint32Array.from({ length: text.length }, (_, at) => at);
  for (let layer = 0; layer < LAYERS && ESCAPE.test(plain); layer += 1) {
    const next = new Uint32Array(plain.length);
    let length = 0;
    let end = 0;
    const keep = (to: number): void => {
      for (; end < to; end += 1) next[length++] = starts[end] ?? 0;
    };
    for (const { 0: unit, index } of plain.matchAll(UNIT)) {
      keep(index + 1);
      end = index + unit.length;
    }
    keep(plain.length);
    starts = next.subarray(0, length);
    plain = plain.replace(UNIT, (_, ...groups: (string | undefined)[]) =>
      characterOf(...groups.slice(0, 6)),
    );
  }
  return starts;
}

type Finder = (text: string) => readonly Place[];

function finderAlone(key: string): Finder {
  const alone = aloneOf(key);
  return (text) =>
    Array.from(text.matchAll(alone), ({ index }) => ({ from: index, to: index + key.length }));
}

/** What it looks for is made once for each kind of text, not for each text. */
function finderInside(key: string): Finder {
  const kinds = new Map<string, Grams>();
  return (text) => {
    const kind = `${text.includes("%")}:${text.includes("\\")}`;
    const grams = kinds.get(kind) ?? gramsOf(spellingsFor(text, key));
    kinds.set(kind, grams);
    return placesIn(text, grams);
  };
}

function aloneOf(key: string): RegExp {
  const literal = key.replace(/[^A-Za-z0-9]/g, "\\$&");
  return new RegExp(`(?<![A-Za-z0-9])${literal}(?![A-Za-z0-9])`, "gi");
}

interface Spelling {
  readonly letters: string;
  /** So many of them in a row are enough. */
  readonly least: number;
}

/** Only those that the text can hold. */
function spellingsFor(text: string, key: string): readonly Spelling[] {
  const part = Math.min(Math.max(Math.ceil(key.length * PART.share), PART.least), PART.most);
  /** `length`: of one character of the key in this spelling. */
  const spelling = (spelled: string, length = 1): Spelling => ({
    letters: spelled.toLowerCase().replaceAll("-", "+").replaceAll("_", "/"),
    least: Math.min(Math.ceil(part * length), spelled.length),
  });
  const all = [spelling(key), ...base64Of(key).map((spelled) => spelling(spelled, 4 / 3))];
  if (text.includes("%")) {
    all.push(spelling(encodeURIComponent(key)), spelling(numbered(key, "%", 2), 3));
  }
  if (text.includes("\\")) {
    const once = JSON.stringify(key).slice(1, -1);
    all.push(spelling(once), spelling(JSON.stringify(once).slice(1, -1)));
    all.push(spelling(once.replaceAll("/", "\\/")), spelling(numbered(key, "\\u", 4), 6));
    all.push(spelling(key.replace(/[^A-Za-z0-9]/g, (one) => numbered(one, "\\u", 4))));
  }
  return all;
}

/**
 * Three, by what stands before the key in the encoded text: up to two letters at its beginning belong to that as
 * well (RFC 4648 §4), and are left out.
 */
function base64Of(key: string): readonly string[] {
  return ["", "?", "??"].map((before) => {
    const bytes = before + key;
    const shared = before === "" ? 0 : before.length + 1;
    return btoa(bytes.slice(0, bytes.length - (bytes.length % 3))).slice(shared);
  });
}

function numbered(key: string, mark: string, digits: number): string {
  const numbers = Array.from(key, (one) => one.charCodeAt(0).toString(16).padStart(digits, "0"));
  return numbers.map((number) => mark + number).join("");
}

/** Small letters, and the two alphabets of base64 (RFC 4648 §5) as one. Of each byte. */
const FOLDED = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code >= 65 && code <= 90) return code + 32;
  if (code === 45) return 43;
  return code === 95 ? 47 : code;
});

function foldedAt(text: string, at: number): number {
  return FOLDED[text.charCodeAt(at) & 0xff] ?? 0;
}

interface Place {
  readonly from: number;
  readonly to: number;
}

/** Where the text has enough of a spelling in a row, in order and apart from each other. */
function placesIn(text: string, { marks, grams }: Grams): readonly Place[] {
  const places: Place[] = [];
  let end = 0;
  let hash = 0;
  for (let at = 0; at < text.length; at += 1) {
    hash = (hash << 8) | foldedAt(text, at);
    if (marks[markOf(hash)] === 0 || at + 1 - GRAM < end) continue;
    for (const { spelling, index } of grams.get(hash) ?? []) {
      const place = around(text, at + 1 - GRAM, spelling, index, end);
      if (place.to - place.from < spelling.least || place.from < end) continue;
      places.push(place);
      end = place.to;
      break;
    }
  }
  return places;
}

/** The stretch of the text that is that of the spelling, where the two meet. */
function around(
  text: string,
  at: number,
  { letters }: Spelling,
  index: number,
  least: number,
): Place {
  const isSame = (offset: number): boolean => {
    const place = at + offset;
    if (place < least || place >= text.length) return false;
    return (
      text.charCodeAt(place) < 256 && foldedAt(text, place) === letters.charCodeAt(index + offset)
    );
  };
  let before = 0;
  while (isSame(before - 1)) before -= 1;
  let after = 0;
  while (isSame(after)) after += 1;
  return { from: at + before, to: at + after };
}

interface Grams {
  readonly grams: ReadonlyMap<number, readonly Gram[]>;
  /** Zero where no gram has that hash. */
  readonly marks: Uint8Array;
}

interface Gram {
  readonly spelling: Spelling;
  readonly index: number;
}

/** So many of each spelling that a stretch which is long enough has one of them. */
function gramsOf(spellings: readonly Spelling[]): Grams {
  const grams = new Map<number, Gram[]>();
  const marks = new Uint8Array(MARKS);
  for (const spelling of spellings) {
    const { letters, least } = spelling;
    for (let index = 0; index + GRAM <= letters.length; index += Math.max(least - GRAM + 1, 1)) {
      let hash = 0;
      for (let offset = 0; offset < GRAM; offset += 1) {
        hash = (hash << 8) | letters.charCodeAt(index + offset);
      }
      const known = grams.get(hash) ?? [];
      known.push({ spelling, index });
      grams.set(hash, known);
      marks[markOf(hash)] = 1;
    }
  }
  return { marks, grams };
}

function markOf(hash: number): number {
  return (hash ^ (hash >>> 11) ^ (hash >>> 21)) & (MARKS - 1);
}
