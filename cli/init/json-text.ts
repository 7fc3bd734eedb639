// A value as JSON for people: on one line where it fits, as Biome and Prettier would lay it out.
const WIDTH = 100;

/** `used`: what stands before it on its line. `indent`: how far that line is indented. */
export function jsonText(value: unknown, indent: number, used: number): string {
  const flat = onOneLine(value);
  // One more for the comma after it.
  if (used + flat.length < WIDTH || typeof value !== "object" || value === null) return flat;
  const inner = " ".repeat(indent + 2);
  const isList = Array.isArray(value);
  const lines = isList
    ? value.map((item: unknown) => jsonText(item, indent + 2, indent + 2))
    : Object.entries(value).map(([name, member]) => {
        const key = `${JSON.stringify(name)}: `;
        return key + jsonText(member, indent + 2, indent + 2 + key.length);
      });
  if (lines.length === 0) return flat;
  const [open, close] = isList ? ["[", "]"] : ["{", "}"];
  return `${open}\n${lines.map((line) => inner + line).join(",\n")}\n${" ".repeat(indent)}${close}`;
}

function onOneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, member]) => `${JSON.stringify(name)}: ${onOneLine(member)}`,
  );
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}
