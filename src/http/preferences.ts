// The `Prefer` header (RFC 7240): what a client would like, as far as this gateway knows it.

const LONGEST_WAIT_SECONDS = 25;
/** More than any client needs; what is longer is not read. */
const HEADER_CHARACTERS = 1_024;
/** One preference: a comma inside quotes does not end it. */
const ITEM = /(?:"(?:[^"\\]|\\.)*"|[^",])+/g;

export interface Preferences {
  /** Whole seconds to poll until the run is terminal; null when not asked for. */
  readonly waitSeconds: number | null;
  /** Null leaves it to the tenant's `on_terminal`. */
  readonly handling: "strict" | "lenient" | null;
}

/** A preference that is unknown or malformed is as if it were not there (§2); the first one counts. */
export function readPreferences(header = ""): Preferences {
  const preferences = new Map<string, string>();
  const items = header.length > HEADER_CHARACTERS ? [] : (header.match(ITEM) ?? []);
  for (const item of items) {
    const [pair = ""] = item.split(";");
    const [, name = "", value = ""] = /^([^=]*)=?(.*)$/s.exec(pair) ?? [];
    const key = name.trim().toLowerCase();
    if (key !== "" && !preferences.has(key)) {
      preferences.set(key, value.trim().replace(/^"(.*)"$/, "$1"));
    }
  }
  return {
    waitSeconds: waitOf(preferences.get("wait")),
    handling: handlingOf(preferences.get("handling")),
  };
}

/** More than the longest wait is honoured as the longest; `Preference-Applied` says so. */
function waitOf(value: string | undefined): number | null {
  if (value === undefined || !/^\d{1,6}$/.test(value)) return null;
  return Math.min(Number(value), LONGEST_WAIT_SECONDS);
}

function handlingOf(value: string | undefined): Preferences["handling"] {
  const word = value?.toLowerCase();
  return word === "strict" || word === "lenient" ? word : null;
}

/** The value of `Preference-Applied`; null when nothing was asked for. */
export function appliedPreferences({ waitSeconds, handling }: Preferences): string | null {
  const applied = [
    ...(waitSeconds === null ? [] : [`wait=${waitSeconds}`]),
    ...(handling === null ? [] : [`handling=${handling}`]),
  ];
  return applied.length === 0 ? null : applied.join(", ");
}
