// What a route takes in its query. A filter that is ignored in silence would tell something false, so
// what a route does not know is refused by its name.
import type { Context, MiddlewareHandler } from "hono";
import * as z from "zod";
import { MAX_PAGE } from "../audit/api.ts";
import { Refusal } from "../failure.ts";

const NAME_CHARACTERS = 64;

/** What clients add to every call of theirs, and what changes nothing here. */
const Ignored = z.unknown().optional();
/** Azure's clients name a version of their API. */
const Azure = { "api-version": Ignored };
/** OpenAI's clients have a second method for each call on responses, which says so. */
const Beta = { beta: Ignored };
/** A stream is not served; that none is asked for may be said. */
const NoStream = z
  .literal("false", { error: "a stream is not served here; leave it out" })
  .optional();

export const NoQuery = z.object({});
export const RunQuery = z.object(Azure);
export const RunReadQuery = z.object({ ...Azure, stream: NoStream });
export const ResponseQuery = z.object({ ...Azure, ...Beta });
export const ResponseReadQuery = z.object({
  ...Azure,
  ...Beta,
  stream: NoStream,
  /** Asks for members that are shown anyway, as far as any are. */
  include: Ignored,
  include_obfuscation: Ignored,
});
export const ExportQuery = z.object({ cursor: z.string().max(2_048).optional() });
export const ListQuery = ExportQuery.extend({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(50),
});

/** The query as the schema has it. Throws `invalid_request`, with the name of what is at fault. */
export function readQuery<Schema extends z.ZodObject>(
  { req }: Context,
  schema: Schema,
): z.infer<Schema> {
  const values = new Map<string, string[]>();
  // Not hono's own reading of it, which loses a name such as `__proto__`.
  for (const [written, value] of new URL(req.url).searchParams) {
    // Lists are written in three ways.
    const name = written.replace(/^include\[\d*\]$/, "include");
    if (!Object.hasOwn(schema.shape, name)) throw unknownName(written, schema);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  const asked = [...values].map(([name, all]) => [name, all.length === 1 ? all[0] : all]);
  const read = schema.safeParse(Object.fromEntries(asked));
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  const param = String(issue?.path[0] ?? "");
  const words = `'${param}' is not valid: ${issue?.message}.`;
  throw new Refusal("invalid_request", { param, words });
}

function unknownName(written: string, { shape }: z.ZodObject): Refusal {
  const param = written.slice(0, NAME_CHARACTERS).toWellFormed();
  const names = Object.keys(shape).map((name) => `'${name}'`);
  const known = names.length === 0 ? "" : ` but ${names.join(", ")}`;
  const words = `This address takes no query parameter${known}.`;
  return new Refusal("invalid_request", { param, words });
}

/** For addresses that ask nobody who they are. */
export const withoutQuery: MiddlewareHandler = async function withoutQuery(c, next) {
  readQuery(c, NoQuery);
  await next();
};
