// `npm run bench:identity`: what the worst tokens cost, and what a million of them leave behind. By the
// gateway's own front door, in this process; figures are for this machine, ratios travel.
import { performance } from "node:perf_hooks";
import { newSigningKey } from "../cli/signing-key.ts";
import { createKey } from "../dev/issuer.ts";
import { createApp } from "../src/app.ts";
import { BASE_KEY } from "../src/config/kv-keys.ts";
import { createGateway } from "../src/gateway.ts";
import { readJwt } from "../src/identity/token.ts";
import { base64url, compactToken } from "../test/support/tokens.ts";

const ISSUER = "https://id.bench.test/";
const AUDIENCE = "bench";
const PATH = "https://stop.bench.test/v1/threads/thread_1/runs/run_1/cancel";
const SHAPES_EACH = 5_000;
const TOKENS = Number(process.env["TOKENS"] ?? 1_000_000);
const WARM_UP = TOKENS / 10;

const KEY = await createKey("EdDSA");

await worstShapes();
await aMillion();

/** Each as long as a token may be, and as hard on its reader as it can be made. */
async function worstShapes(): Promise<void> {
  const header = base64url({ alg: "EdDSA", kid: KEY.kid });
  const room = 16_384 - header.length - 2 - 86;
  const json = Math.floor((room * 3) / 4) - 2;
  const inPayload = (text: string): string => `${header}.${base64url(text)}.${"A".repeat(86)}`;
  const fill = (piece: string, around: (text: string) => string): string =>
    around(piece.repeat(Math.floor((json - around("").length) / piece.length)));
  const shapes: Record<string, string> = {
    "a usual token": await compactToken(KEY, usualClaims(0)),
    "16 KiB of dots": ".".repeat(16_384),
    "16 KiB of one part": "A".repeat(16_384),
    "8 MiB": "A".repeat(8 * 1024 * 1024),
    "arrays in arrays": inPayload(fill("[", (text) => text)),
    "objects in objects": inPayload(`${'{"a":'.repeat(1_800)}1${"}".repeat(1_800)}`),
    "a thousand members": inPayload(
      `{${Array.from({ length: 1_300 }, (_, index) => `"${index.toString(36)}":1`).join(",")}}`,
    ),
    "one member again and again": inPayload(fill('"a":1,', (text) => `{${text}"b":1}`)),
    "strings and white space": inPayload(fill('""  ,', (text) => `{"a":[${text}""]}`)),
    "one string and white space": inPayload(fill(" ", (text) => `{"a":["b"${text}]}`)),
    backslashes: inPayload(fill("\\\\", (text) => `{"a":"${text}"}`)),
    quotes: inPayload(fill('\\"', (text) => `{"a":"${text}"}`)),
    "a header of 1 KiB": `${base64url({ alg: "EdDSA", x: "x".repeat(990) })}.e30.AA`,
    "a header of 6 KB": `${base64url({ alg: "EdDSA", x: "x".repeat(6_000) })}.e30.AA`,
  };
  console.log(`\nThe shape of a token, before any key (${SHAPES_EACH} times each, in µs)\n`);
  console.log(`${"".padEnd(28)}${["p50", "p99", "most"].map((name) => name.padStart(9)).join("")}`);
  for (const [name, token] of Object.entries(shapes)) {
    const times = Array.from({ length: SHAPES_EACH }, () => timeOf(() => readJwt(token)));
    const [p50, p99, most] = [0.5, 0.99, 1].map((share) => quantile(times.slice(100), share));
    console.log(
      `${name.padEnd(28)}${[p50, p99, most].map((us = 0) => us.toFixed(1).padStart(9)).join("")}`,
    );
  }
}

function timeOf(work: () => unknown): number {
  const begun = performance.now();
  try {
    work();
  } catch {
    // Most of them are refused; that is what is being timed.
  }
  return (performance.now() - begun) * 1_000;
}

function quantile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
}

function usualClaims(index: number) {
  const now = Math.floor(Date.now() / 1_000);
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: `person-${index}`,
    jti: `token-${index}`,
    exp: now + 3_600,
    iat: now,
    scope: "runs:cancel",
    // No tenant of this issuer: whatever else is right, it ends here.
    org_id: `tenant-${index}`,
  };
}

/** A third with a kid nobody has, a third with a signature that does not fit, a third that is genuine. */
async function tokenAt(index: number): Promise<[token: string, status: number]> {
  const header = { alg: "EdDSA", kid: index % 3 === 0 ? `kid-${index}` : KEY.kid, typ: "JWT" };
  if (index % 3 === 2) return [await compactToken(KEY, usualClaims(index), header), 403];
  const signature = Buffer.alloc(64, index).toString("base64url");
  return [`${base64url(header)}.${base64url(usualClaims(index))}.${signature}`, 401];
}

async function aMillion(): Promise<void> {
  const gc = globalThis.gc;
  if (gc === undefined) throw new Error("run it with node --expose-gc");
  let fetches = 0;
  const app = createApp(await gatewayOver(() => (fetches += 1)));
  const context = {
    waitUntil: () => undefined,
    passThroughOnException: () => undefined,
    props: {},
  };
  const heap = (): number => {
    gc();
    gc();
    return process.memoryUsage().heapUsed;
  };
  let warm = 0;
  console.log(`\n${TOKENS.toLocaleString("en")} tokens, no two alike, by the front door\n`);
  for (let index = 0; index < TOKENS + WARM_UP; index += 1) {
    if (index === WARM_UP) warm = heap();
    if (index % 10_000 === 0 && process.stderr.isTTY) process.stderr.write(`\r${index} `);
    const [token, expected] = await tokenAt(index);
    const headers = { authorization: `Bearer ${token}` };
    const { status } = await app.request(PATH, { method: "POST", headers }, {}, context);
    if (status !== expected) throw new Error(`token ${index} was answered ${status}`);
  }
  const after = heap();
  const mb = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  console.log(`heap after warm-up ${mb(warm)}, after all ${mb(after)}`);
  console.log(`growth: ${(100 * (after / warm - 1)).toFixed(1)} % (goal: less than 10 %)`);
  console.log(`questions to the key endpoint: ${fetches}`);
  if (after / warm >= 1.1) process.exitCode = 1;
}

async function gatewayOver(fetched: () => void) {
  const base = {
    issuers: [
      {
        issuer: ISSUER,
        jwks_uri: `${ISSUER}jwks.json`,
        audiences: [AUDIENCE],
        algorithms: ["EdDSA"],
        tenant: { claim: "org_id", allow: ["acme"] },
      },
    ],
    upstreams: {},
    origins: [],
  };
  const signingKey = await newSigningKey();
  const nowhere = new Proxy({}, { get: () => () => Promise.reject(new Error("not expected")) });
  return createGateway(
    {
      config: {
        get: ((key: string) =>
          Promise.resolve(key === BASE_KEY ? JSON.stringify(base) : null)) as never,
      },
      audit: nowhere as never,
      ledger: () => nowhere as never,
      keyCache: () => Promise.reject(new Error("none")),
      limits: nowhere as never,
      secret: (name) => (name === "AUDIT_SIGNING_KEY" ? signingKey : undefined),
    },
    {
      fetch: (() => {
        fetched();
        return Promise.resolve(Response.json({ keys: [KEY.publicJwk] }));
      }) as typeof fetch,
      now: () => Date.now(),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
      newId: () => crypto.randomUUID(),
      random: () => Math.random(),
      log: () => undefined,
    },
  );
}
