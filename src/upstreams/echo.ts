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

/**
 * The text without the key: whole or in long parts, as it is or in base64, percent-encoded or escaped as in
 * JSON, in any case. A text that has none of it comes back as it is. `key`: printable ASCII.
 */
export function withoutKey(text: string, key: string): string {
  if (key.length < LEAST_KEY) return text;
  if (key.length < LEAST_INSIDE) return text.replace(aloneOf(key), HIDDEN);
  let clean = "";
  let end = 0;
  for (const { from, to } of placesIn(text, spellingsFor(text, key))) {
    clean += text.slice(end, from) + HIDDEN;
    end = to;
  }
  return end === 0 ? text : clean + text.slice(end);
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
function placesIn(text: string, spellings: readonly Spelling[]): readonly Place[] {
  const { marks, grams } = gramsOf(spellings);
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

interface Gram {
  readonly spelling: Spelling;
  readonly index: number;
}

/** So many of each spelling that a stretch which is long enough has one of them. */
function gramsOf(spellings: readonly Spelling[]) {
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
