// What the schema's own sentences leave unsaid: which member or word was probably meant, and what is wrong
// with an address or an origin. The schema is the Worker's too, which has no use for advice.
import * as z from "zod";
import { ConfigDocument } from "../src/config/schema.ts";
import type { Path } from "./config-file.ts";
import { nearest } from "./nearest.ts";
import { whyNoAddress } from "./no-address.ts";
import { whyNoOrigin } from "./no-origin.ts";

/** To be put behind the sentence; empty where there is nothing to add. `document`: the whole, as it is. */
export function hintFor(issue: z.core.$ZodIssue, path: Path, document: unknown): string {
  const meant = [
    ...new Set([...membersMeant(issue, path, document), ...wordMeant(issue, path, document)]),
  ];
  if (meant.length > 0) return ` (did you mean ${meant.map((name) => `'${name}'`).join(" and ")}?)`;
  const value = valueAt(document, path);
  if (typeof value !== "string") return "";
  if (issue.message.startsWith("must be an https URL")) return whyNotLed(value);
  return issue.message.startsWith("must be an exact origin") ? whyNotListed(value) : "";
}

/** Empty where the address is fine, or where nothing more is known than that it is refused. */
export function whyNotLed(address: string): string {
  return behind(whyNoAddress(address));
}

/** As `whyNotLed`, of an origin. */
export function whyNotListed(origin: string): string {
  return behind(whyNoOrigin(origin));
}

function behind(why: string | null): string {
  return why === null ? "" : `: ${why}`;
}

/** The members that an object's unknown ones were probably meant to be. */
export function meantBy(issue: z.core.$ZodIssue, path: Path): readonly string[] {
  return issue.code === "unrecognized_keys" ? nearestMembers(issue.keys, path) : [];
}

/** As `meantBy`, and also where an object fits no kind of a choice. */
function membersMeant(issue: z.core.$ZodIssue, path: Path, document: unknown): readonly string[] {
  if (issue.code !== "invalid_union") return meantBy(issue, path);
  const value = valueAt(document, path);
  if (value !== undefined) return misspeltIn(value, path);
  // The member that says which kind it is, is missing.
  const holder = path.slice(0, -1);
  return misspeltIn(valueAt(document, holder), holder);
}

/** The members that unknown ones were meant to be, in the object and in those inside it. */
function misspeltIn(value: unknown, path: Path): readonly string[] {
  if (!isObject(value)) return [];
  const known = membersAt(path);
  const unknown = Object.keys(value).filter((name) => !known.includes(name));
  return [
    ...nearestMembers(unknown, path),
    ...known.flatMap((name) => misspeltIn(valueAt(value, [name]), [...path, name])),
  ];
}

function nearestMembers(names: readonly string[], path: Path): readonly string[] {
  const known = membersAt(path);
  return names.flatMap((name) => nearest(name, known) ?? []);
}

/** The word that was probably meant, where only some can stand. */
function wordMeant(issue: z.core.$ZodIssue, path: Path, document: unknown): readonly string[] {
  const value = valueAt(document, path);
  const meant = typeof value === "string" ? nearest(value, wordsFor(issue, document)) : null;
  return meant === null ? [] : [meant];
}

function wordsFor(issue: z.core.$ZodIssue, document: unknown): readonly string[] {
  if (issue.code === "invalid_value") return issue.values.map(String);
  // Zod lists the kinds of a choice without saying so in its types.
  if (issue.code === "invalid_union") {
    return "options" in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
  }
  const named = /^there is no (upstream|tenant) /.exec(issue.message)?.[1];
  const there = named === undefined ? undefined : valueAt(document, [`${named}s`]);
  return isObject(there) ? Object.keys(there) : [];
}

/** Undefined where there is nothing. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (node, part) =>
      typeof node === "object" && node !== null && Object.hasOwn(node, part)
        ? (node as Readonly<Record<string, unknown>>)[part]
        : undefined,
    value,
  );
}

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Made once, and only when it is needed. */
let schema: Json | undefined;

/** The members that an object may have there, in any of its kinds. */
function membersAt(path: Path): readonly string[] {
  schema ??= z.toJSONSchema(ConfigDocument, { io: "input" }) as Json;
  const found = path.reduce<readonly Json[]>(
    (nodes, part) => nodes.flatMap((node) => childrenOf(node, part)),
    kindsOf(schema),
  );
  return [...new Set(found.flatMap((node) => Object.keys((node["properties"] ?? {}) as Json)))];
}

function childrenOf(node: Json, part: string | number): readonly Json[] {
  const properties = (node["properties"] ?? {}) as Json;
  const inside =
    typeof part === "number" ? node["items"] : (properties[part] ?? node["additionalProperties"]);
  return typeof inside === "object" && inside !== null ? kindsOf(inside as Json) : [];
}

/** An object of one kind, or each kind of a choice. */
function kindsOf(node: Json): readonly Json[] {
  const choices = ["anyOf", "oneOf", "allOf"].flatMap((name) => (node[name] ?? []) as Json[]);
  return choices.length === 0 ? [node] : [node, ...choices.flatMap(kindsOf)];
}
