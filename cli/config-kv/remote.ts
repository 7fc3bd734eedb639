// The KV at Cloudflare, by wrangler's own commands: who is logged in, which account, and which namespace
// the deployed Worker has, it knows.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import * as z from "zod";
import { UsageError } from "../config-file.ts";
import { WRANGLER_TOML } from "../worker-config.ts";
import {
  CONFIG_PREFIX,
  type ConfigKv,
  chunksOf,
  digestIn,
  digestOf,
  isConfigKey,
  type Progress,
} from "./kv.ts";

const WRANGLER = join(import.meta.dirname, "../../node_modules/wrangler/bin/wrangler.js");
/** The most that the API takes in one request. */
const READ_KEYS = 100;
/** The most that wrangler sends in one request, so that it is known what has been written when one fails. */
const WRITE_PAIRS = 1_000;
/** Each is a process of its own. */
const READS_AT_ONCE = 4;
/** KV promises a minute or more. */
const LAG_MS = 90_000;

const Listed = z.array(z.object({ name: z.string(), metadata: z.unknown().optional() }));
const Got = z.record(z.string(), z.string().nullable());

/** `namespaceId`: where the deployed Worker's own is not meant. */
export function openRemoteKv(namespaceId: string | undefined): ConfigKv {
  const where =
    namespaceId === undefined ? ["--binding", "CONFIG"] : ["--namespace-id", namespaceId];
  const wrangler = (...parameters: readonly string[]): Promise<string> =>
    run([...parameters, ...where, "--remote", "--config", WRANGLER_TOML]);

  async function withFile(
    content: unknown,
    work: (file: string) => Promise<string>,
  ): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "stopgate-"));
    try {
      const file = join(folder, "keys.json");
      await writeFile(file, JSON.stringify(content), { mode: 0o600 });
      return await work(file);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async function readChunk(keys: readonly string[], done: Progress): Promise<[string, string][]> {
    const output = await withFile(keys, (file) => wrangler("kv", "bulk", "get", file));
    done(keys.length);
    return Object.entries(parsed(Got, output)).flatMap(([key, value]): [string, string][] =>
      value === null ? [] : [[key, value]],
    );
  }

  return {
    name: "Cloudflare's KV",
    lagMs: LAG_MS,
    list: async () => {
      const output = await wrangler("kv", "key", "list", "--prefix", CONFIG_PREFIX);
      const keys = parsed(Listed, output).filter(({ name }) => isConfigKey(name));
      return new Map(keys.map(({ name, metadata }) => [name, digestIn(metadata)]));
    },
    read: async (keys, done) => {
      const found: [string, string][] = [];
      for (const group of chunksOf(chunksOf(keys, READ_KEYS), READS_AT_ONCE)) {
        const chunks = await Promise.all(group.map((chunk) => readChunk(chunk, done)));
        found.push(...chunks.flat());
      }
      return new Map(found);
    },
    write: async (pairs, done) => {
      for (const chunk of chunksOf(pairs, WRITE_PAIRS)) {
        const entries = chunk.map(({ key, value }) => ({
          key,
          value,
          metadata: { sha256: digestOf(value) },
        }));
        await withFile(entries, (file) => wrangler("kv", "bulk", "put", file));
        done(chunk.length);
      }
    },
    remove: async (keys, done) => {
      for (const chunk of chunksOf(keys, WRITE_PAIRS)) {
        await withFile(chunk, (file) => wrangler("kv", "bulk", "delete", file, "--force"));
        done(chunk.length);
      }
    },
    close: async () => undefined,
  };
}

async function run(parameters: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [WRANGLER, ...parameters], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" },
  });
  let output = "";
  let said = "";
  // Decoded by the stream: a character may be cut in two where one chunk ends.
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  if (code === 0) return output;
  const [, verb, noun] = parameters;
  // Errors come in colour, whatever NO_COLOR says.
  const words = stripVTControlCharacters(said + output).trim();
  const hint = HINTS.find(({ when }) => when.test(words));
  throw new UsageError(
    [`wrangler kv ${verb} ${noun} failed:`, words.slice(0, 2_000), hint?.say ?? ""]
      .filter((line) => line !== "")
      .join("\n"),
  );
}

/** What to do about what wrangler says, where it does not say so itself. */
const HINTS: readonly { readonly when: RegExp; readonly say: string }[] = [
  {
    when: /\[code: 10007\]|No KV namespace ID found/,
    say: "The namespace is the deployed Worker's own, and there is none. Deploy it first (npm run deploy), or say which namespace: npx wrangler kv namespace list shows their ids, then --namespace-id ID.",
  },
  {
    when: /non-interactive environment|not logged in|Authentication error/,
    say: "Log in with npx wrangler login, or set CLOUDFLARE_API_TOKEN to a token that may edit Workers KV.",
  },
];

/** What wrangler prints around it is not the answer. */
function parsed<Schema extends z.ZodType>(schema: Schema, output: string): z.infer<Schema> {
  const start = output.search(/^[[{]/m);
  try {
    return schema.parse(JSON.parse(output.slice(Math.max(start, 0))));
  } catch {
    throw new UsageError(`wrangler answered with something else:\n${output.slice(0, 500)}`);
  }
}
