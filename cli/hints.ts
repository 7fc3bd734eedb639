// What the schema's own sentences leave unsaid: which member was probably meant, and what is wrong with an
// address. The schema is the Worker's too, which has no use for advice.
import * as z from "zod";
import { ConfigDocument } from "../src/config/schema.ts";
import type { Path } from "./config-file.ts";
import { nearest } from "./nearest.ts";
import { whyNoAddress } from "./no-address.ts";

/** To be put behind the sentence; empty where there is nothing to add. `value`: what stands there. */
export function hintFor(issue: z.core.$ZodIssue, path: Path, value: unknown): string {
  const meant = meantBy(issue, path);
  if (meant.length > 0) return ` (did you mean ${meant.map((name) => `'${name}'`).join(" and ")}?)`;
  const isAddress = issue.message.startsWith("must be an https URL");
  return isAddress && typeof value === "string" ? whyNotLed(value) : "";
}

/** Empty where the address is fine, or nobody can say what is wrong with it. */
export function whyNotLed(address: string): string {
  const why = whyNoAddress(address);
  return why === null ? "" : `: ${why}`;
}

/** The members that an object's unknown ones were probably meant to be. */
export function meantBy(issue: z.core.$ZodIssue, path: Path): readonly string[] {
  if (issue.code !== "unrecognized_keys") return [];
  const known = membersAt(path);
  return issue.keys.flatMap((key) => nearest(key, known) ?? []);
}

type Json = Readonly<Record<string, unknown>>;

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
