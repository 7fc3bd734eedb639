// What the commands need to know of wrangler.toml.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import * as z from "zod";

export const WRANGLER_TOML = join(import.meta.dirname, "../wrangler.toml");

const RateLimits = z.object({ ratelimits: z.array(z.object({ name: z.string() })).default([]) });

/** The names of the rate-limit bindings; null when the file cannot be read. */
export async function readTiers(): Promise<ReadonlySet<string> | null> {
  try {
    const { ratelimits } = RateLimits.parse(parse(await readFile(WRANGLER_TOML, "utf8")));
    return new Set(ratelimits.map(({ name }) => name));
  } catch {
    return null;
  }
}
