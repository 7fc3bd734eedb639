// One JSON line per thing worth knowing. Never a token, a key, a claim's value or an upstream's text.

/** The longest a single field gets: a hostile header must not fill the log. */
const FIELD_CHARACTERS = 2_048;
/** C0, DEL, C1 and the bidirectional controls: what could forge or reorder a line on a screen. */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

export type Level = "info" | "warn" | "error";
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;
export type Log = (level: Level, event: string, fields?: Fields) => void;

/** A log that hands each finished line to `write`. */
export function createLog(write: (level: Level, line: string) => void): Log {
  return (level, event, fields = {}) => {
    const safe = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, bounded(value)]),
    );
    write(level, toLine({ level, event, ...safe }));
  };
}

export const consoleLog: Log = createLog((level, line) => console[level](line));

function bounded(value: Fields[string]): Fields[string] {
  return typeof value === "string" ? value.slice(0, FIELD_CHARACTERS).toWellFormed() : value;
}

/** JSON in one line for every reader: some end a line at U+0085, U+2028 or U+2029 as well. */
export function toLine(value: object): string {
  return JSON.stringify(value).replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
