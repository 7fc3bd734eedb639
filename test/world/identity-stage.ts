// What the table of `identity.ts` is played on: one config, one world of key endpoints and upstreams, one
// way to ask. Plain functions, so that the tests in workerd and those against `npm start` share them.
import { type Pair, RSA, shown } from "./identity-keys.ts";

export type Json = Record<string, unknown>;

/** How a token is made: what is put over the usual header and claims; undefined leaves out. */
export interface Making {
  readonly by?: Pair;
  readonly header?: Json;
  readonly claims?: Json;
}

/** One request after a pause and, perhaps, a new key document. */
export interface Step {
  readonly waitSeconds?: number;
  readonly keys?: readonly unknown[];
  readonly status: number;
}

interface Endpoint {
  /** What has to stand behind the address. */
  readonly query?: string;
  /** Answers 403 without a `User-Agent`. */
  readonly wantsUserAgent?: boolean;
  /** Answers 406 to those who do not name this type in `Accept`. */
  readonly wantsAccept?: string;
  readonly delayMs?: number;
}

/** What is not usual of a case. */
export interface Members extends Making {
  /** Put over the usual entry of the config; of a list, each over one. */
  readonly entry?: Json | readonly Json[];
  /** Put over the usual tenant. */
  readonly tenant?: Json;
  /** What the document's `keys` hold. Default: the usual key. */
  readonly keys?: readonly unknown[];
  readonly endpoint?: Endpoint;
  /** Whose run is asked for. Default: ann's. */
  readonly run?: string;
  /** What comes after the first request, with the same token. */
  readonly later?: readonly Step[];
  /** How often the keys may have been asked for at the end. */
  readonly fetches?: number;
}

export interface Case extends Members {
  /** What it is an example of. */
  readonly row: string;
  readonly name: string;
  readonly status: number;
}

const CODES: Readonly<Record<number, string>> = {
  401: "invalid_token",
  403: "insufficient_scope",
  404: "run_not_found",
  503: "identity_unavailable",
};

/** The id of a case: its tenant, its upstream, and where its keys are. */
export const idOf = (index: number): string => `case-${index}`;

/** One config for all cases. `origin`: where the world is played. */
export function configOf(cases: readonly Case[], origin: string, secret: string): Json {
  const rules = [
    { id: "owner", scopes: ["runs:cancel"], runs: "own" },
    { id: "support", scopes: ["runs:cancel:support"], runs: "tenant" },
  ];
  const each = cases.map((one, index) => {
    const id = idOf(index);
    const usual = {
      issuer: `${origin}/${id}/`,
      jwks_uri: `${origin}/${id}/keys${one.endpoint?.query ?? ""}`,
      audiences: ["stop"],
      tenant: { fixed: id },
    };
    const tenant = {
      upstream: id,
      credential: { secret },
      ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
      rules,
      ...one.tenant,
    };
    return {
      issuers: [one.entry ?? {}].flat().map((members) => defined({ ...usual, ...members })),
      upstream: [id, { kind: "assistants", base_url: `${origin}/${id}/v1` }] as const,
      tenant: [id, tenant] as const,
    };
  });
  return {
    issuers: each.flatMap(({ issuers }) => issuers),
    upstreams: Object.fromEntries(each.map(({ upstream }) => upstream)),
    tenants: Object.fromEntries(each.map(({ tenant }) => tenant)),
  };
}

function defined(members: Json): Json {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

export interface Asked {
  /** With its query. */
  readonly path: string;
  readonly userAgent: string | null;
  readonly accept: string | null;
}
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly delayMs: number;
}

export interface Played {
  /** What a key endpoint or an upstream answers. */
  readonly answer: (asked: Asked) => Answer;
  readonly publish: (index: number, keys: readonly unknown[]) => void;
  readonly fetchesOf: (index: number) => number;
}

/** All key endpoints and upstreams of these cases. */
export function createWorld(cases: readonly Case[]): Played {
  const documents = cases.map(({ keys }) => keys ?? [shown(RSA)]);
  const fetches = cases.map(() => 0);
  const nothing = { status: 404, body: { error: { message: "not here" } }, delayMs: 0 };

  function keysOf(index: number, query: string, { userAgent, accept }: Asked): Answer {
    const endpoint = cases[index]?.endpoint ?? {};
    fetches[index] = (fetches[index] ?? 0) + 1;
    if (query !== (endpoint.query ?? "")) return nothing;
    if (endpoint.wantsUserAgent && !userAgent) return { ...nothing, status: 403 };
    const types = (accept ?? "").split(",").map((type) => type.trim());
    if (endpoint.wantsAccept && !types.includes(endpoint.wantsAccept)) {
      return { ...nothing, status: 406 };
    }
    return { status: 200, body: { keys: documents[index] }, delayMs: endpoint.delayMs ?? 0 };
  }

  return {
    answer: (asked) => {
      const { path } = asked;
      const [, at = "", place = "", query = ""] = /^\/case-(\d+)\/([^?]*)(.*)$/.exec(path) ?? [];
      const index = Number(at);
      if (cases[index] === undefined) return nothing;
      if (place === "keys") return keysOf(index, query, asked);
      const [, thread, run = ""] = /^v1\/threads\/([^/]+)\/runs\/([^/]+)$/.exec(place) ?? [];
      if (thread === undefined) return nothing;
      return { status: 200, body: runOf(index, thread, run), delayMs: 0 };
    },
    publish: (index, keys) => {
      documents[index] = keys;
    },
    fetchesOf: (index) => fetches[index] ?? 0,
  };
}

/** `run_ann` is ann's. */
function runOf(index: number, thread: string, run: string): Json {
  return {
    id: run,
    object: "thread.run",
    created_at: 1_790_000_000,
    thread_id: thread,
    assistant_id: "asst_1",
    status: "in_progress",
    metadata: { tenant: idOf(index), user: run.replace(/^run_/, "") },
  };
}

export interface Stage {
  readonly world: Played;
  readonly origin: string;
  readonly nowSeconds: () => number;
  readonly wait: (seconds: number) => Promise<void>;
  /** A request to the gateway under test. */
  readonly ask: (path: string, token: string) => Promise<Response>;
}

export interface Outcome {
  readonly status: number;
  readonly code: string | null;
}

/** What the gateway answers at each step. */
export async function play(one: Case, index: number, stage: Stage): Promise<Outcome[]> {
  const token = await tokenOf(one, `${stage.origin}/${idOf(index)}/`, stage.nowSeconds());
  const outcomes: Outcome[] = [];
  for (const { waitSeconds, keys } of [{} as Partial<Step>, ...(one.later ?? [])]) {
    if (keys !== undefined) stage.world.publish(index, keys);
    if (waitSeconds !== undefined) await stage.wait(waitSeconds);
    const response = await stage.ask(`/v1/threads/thread_1/runs/run_${one.run ?? "ann"}`, token);
    const body = (await response.json()) as { error?: { code: string } };
    outcomes.push({ status: response.status, code: body.error?.code ?? null });
  }
  return outcomes;
}

/** What it has to answer. */
export function expectedOf({ status, later = [] }: Case): Outcome[] {
  return [{ status }, ...later].map((step) => ({
    status: step.status,
    code: CODES[step.status] ?? null,
  }));
}

export async function tokenOf(
  { by = RSA, header, claims }: Making,
  issuer: string,
  nowSeconds: number,
): Promise<string> {
  const head = defined({ alg: by.alg, kid: by.kid, typ: "at+jwt", ...header });
  const usual = { iss: issuer, aud: "stop", sub: "ann", iat: nowSeconds, exp: nowSeconds + 3_600 };
  const body = { ...usual, scope: "runs:cancel", ...claims };
  const input = [head, body].map((part) => base64url(JSON.stringify(part))).join(".");
  return `${input}.${base64url(await signatureOf(by, String(head["alg"]), input))}`;
}

const base64url = (part: string | Uint8Array): string => Buffer.from(part).toString("base64url");

/** By hand, since no library signs with a key of 1,024 bits. */
async function signatureOf({ secret }: Pair, alg: string, input: string): Promise<Uint8Array> {
  const algorithm = signingAlgorithm(alg, secret.crv);
  const key = await crypto.subtle.importKey("jwk", secret as JsonWebKey, algorithm, false, [
    "sign",
  ]);
  return new Uint8Array(await crypto.subtle.sign(algorithm, key, Buffer.from(input)));
}

function signingAlgorithm(alg: string, namedCurve = "") {
  const bits = Number(alg.slice(2));
  const hash = `SHA-${bits}`;
  if (alg.startsWith("RS")) return { name: "RSASSA-PKCS1-v1_5", hash };
  if (alg.startsWith("PS")) return { name: "RSA-PSS", hash, saltLength: bits / 8 };
  if (alg.startsWith("ES")) return { name: "ECDSA", hash, namedCurve };
  return { name: "Ed25519" };
}
