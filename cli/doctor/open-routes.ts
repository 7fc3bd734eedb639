// What a gateway shows to everybody: that it is there and well, its version, its clock, its audit keys;
// and that without a token, or from a stranger's page, it does nothing.
import * as z from "zod";
import { VERSION } from "../../src/version.ts";
import {
  type Answer,
  ask,
  type Check,
  NoAnswer,
  nameOf,
  notChecked,
  ok,
  problem,
} from "./check.ts";

export interface Gateway {
  /** Without a slash at its end. */
  readonly url: string;
  readonly fetch: typeof fetch;
}

/** A run that nobody has: its ids are well formed, which is all. */
export const NO_RUN = { threadId: "doctor", runId: "doctor" } as const;
export const NO_RUN_PATH = `/v1/threads/${NO_RUN.threadId}/runs/${NO_RUN.runId}`;

const APPLY =
  "its log has one line config_invalid that says why; lint the config, set what is missing, apply";

export interface Reached {
  readonly check: Check;
  /** Null: nobody answered, so nothing else need be asked. */
  readonly answer: Answer | null;
  /** It serves: the routes that take a token can be tried. */
  readonly serves: boolean;
}

export async function reach({ url, fetch }: Gateway): Promise<Reached> {
  const id = "reachable";
  try {
    const answer = await ask(fetch, `${url}/healthz`);
    const isHealthy =
      answer.status === 200 && z.object({ status: z.literal("ok") }).safeParse(answer.body).success;
    if (isHealthy) return { check: ok(id, "/healthz answers ok"), answer, serves: true };
    if (answer.code === "config_invalid") {
      const check = problem(
        id,
        "it serves nobody: its config does not pass (503 config_invalid)",
        APPLY,
      );
      return { check, answer, serves: false };
    }
    const check = problem(
      id,
      `/healthz answers ${nameOf(answer)}, which no gateway does`,
      "give the address where the Worker answers, without a path; if something stands before it (Access, a proxy), let it pass",
    );
    return { check, answer, serves: false };
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    const cure =
      "is the address right, is it deployed (npm start, npm run deploy), does DNS know it?";
    return { check: problem(id, error.message, cure), answer: null, serves: false };
  }
}

const Description = z.looseObject({
  info: z.looseObject({ title: z.literal("Stopgate"), version: z.string() }),
});

export async function version({ url, fetch }: Gateway): Promise<Check> {
  const id = "version";
  const { body } = await ask(fetch, `${url}/openapi.json`);
  const described = Description.safeParse(body);
  if (!described.success) {
    return problem(id, "/openapi.json does not describe a Stopgate", "is the address right?");
  }
  const { version: theirs } = described.data.info;
  const same = theirs === VERSION ? "as this checkout" : `this checkout is ${VERSION}`;
  return ok(id, `${theirs}, ${same}`);
}

const MOST_SECONDS_APART = 30;

/** From the `Date` of an answer. Tokens are judged with 60 s of tolerance, so half of it is too much. */
export function clock({ headers, askedMs, answeredMs }: Answer): Check {
  const id = "clock";
  const dated = Date.parse(headers.get("date") ?? "");
  if (Number.isNaN(dated)) return notChecked(id, "the answer has no Date");
  // It was written in that second, at some moment between asking and the answer.
  const earliest = dated - answeredMs;
  const latest = dated + 1_000 - askedMs;
  const apartMs = earliest > 0 ? earliest : latest < 0 ? latest : 0;
  const seconds = Math.round(Math.abs(apartMs) / 1_000);
  if (seconds <= MOST_SECONDS_APART) {
    const found = seconds === 0 ? "as this machine's" : `${seconds} s from this machine's`;
    return ok(id, `${found} (to a second or so: Date has no fractions)`);
  }
  const way = apartMs > 0 ? "ahead of" : "behind";
  return problem(
    id,
    `${seconds} s ${way} this machine's: tokens seem to be from the future, or past`,
    "set the clock of the one that is wrong; a Worker's is right, so it is most likely this machine's",
  );
}

const PublicKeys = z.object({
  keys: z.array(
    z.looseObject({ kty: z.string(), crv: z.string().optional(), kid: z.string().optional() }),
  ),
});

export async function auditKeys({ url, fetch }: Gateway): Promise<Check> {
  const id = "audit-keys";
  const { body } = await ask(fetch, `${url}/.well-known/audit-keys.json`);
  const keys = PublicKeys.safeParse(body).data?.keys ?? [];
  if (keys.some((key) => "d" in key)) {
    return problem(id, "a private key is published", "take it down, and make a new audit key");
  }
  const signing = keys.filter(({ kty, crv, kid }) => kty === "OKP" && crv === "Ed25519" && kid);
  if (signing.length > 0) {
    return ok(
      id,
      `publishes ${signing.map(({ kid }) => `'${String(kid).slice(0, 64)}'`).join(", ")}`,
    );
  }
  return problem(
    id,
    "no Ed25519 key is published, so nobody can check the audit log",
    "set AUDIT_SIGNING_KEY (docs/deploy.md, step 1)",
  );
}

export async function noToken({ url, fetch }: Gateway): Promise<Check> {
  const id = "no-token";
  const answer = await ask(fetch, `${url}${NO_RUN_PATH}`);
  if (answer.status === 401 && answer.code === "missing_token") {
    return ok(id, "a request without a token is refused (401 missing_token)");
  }
  return problem(
    id,
    `a request without a token is answered ${nameOf(answer)}, where it has to be 401 missing_token`,
    "does something stand before the gateway that adds a token, or answers in its place?",
  );
}

/** Nobody's: RFC 2606 §2. */
const STRANGER = "https://doctor.invalid";
/** Each is a request; a config may name thousands. */
const MOST_ORIGINS = 20;

export async function cors(gateway: Gateway, origins: readonly string[]): Promise<Check> {
  const id = "cors";
  if (await isAllowed(gateway, STRANGER)) {
    return problem(
      id,
      "a page of anybody's may call it",
      "something before the gateway answers preflights: let them through to it",
    );
  }
  // Of a wildcard one origin that it covers is asked for.
  const asked = origins.slice(0, MOST_ORIGINS).map((origin) => origin.replace("*", "preview"));
  const allowed = await Promise.all(asked.map((origin) => isAllowed(gateway, origin)));
  const refused = asked.filter((_, index) => allowed[index] !== true);
  const stranger = "a stranger's page may not call it";
  if (refused.length > 0) {
    return problem(
      id,
      `${refused.join(", ")} may not call it, though the config says so`,
      "apply the config, and wait 90 s",
    );
  }
  if (asked.length === 0) return ok(id, stranger);
  const some = origins.length > asked.length ? `${asked.length} of ${origins.length}` : "its";
  return ok(
    id,
    `${some} pages may call it (${asked.slice(0, 3).join(", ")}${asked.length > 3 ? ", …" : ""}), ${stranger}`,
  );
}

async function isAllowed({ url, fetch }: Gateway, origin: string): Promise<boolean> {
  const { headers } = await ask(fetch, `${url}${NO_RUN_PATH}/cancel`, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
    },
  });
  const allowed = headers.get("access-control-allow-origin");
  return allowed === origin || allowed === "*";
}
