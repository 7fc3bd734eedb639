// What a gateway says to a token: whether it is taken, whether the upstream takes the tenant's key, and
// whether the audit log can be read. Asks about a run that is not there, and cancels nothing.

import * as z from "zod";
import type { TenantEntry } from "../../src/config/schema.ts";
import { FAILURES } from "../../src/failure.ts";
import { type Grant, grantedThreads, grantsRun } from "../../src/identity/claims.ts";
import { dependsOnRun } from "../../src/policy/authorise.ts";
import { Run } from "../../src/runs/run.ts";
import { type Answer, ask, type Check, nameOf, notChecked, ok, problem } from "./check.ts";
import { type Gateway, NO_RUN, NO_RUN_PATH } from "./open-routes.ts";

/** Whose token it is, as far as the config can tell. */
export interface Holder {
  readonly tenant: string;
  readonly entry: TenantEntry;
  readonly scopes: ReadonlySet<string>;
  readonly grants: readonly Grant[];
}

export async function identityAndRun(
  { url, fetch }: Gateway,
  token: string,
  holder: Holder | null,
): Promise<readonly Check[]> {
  const answer = await ask(fetch, `${url}${NO_RUN_PATH}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const [identity, asked] = [identityOf(answer, holder), upstreamKeyOf(answer, holder)];
  return [identity, asked];
}

function identityOf(answer: Answer, holder: Holder | null): Check {
  const id = "identity";
  const tenant = holder === null ? "its tenant" : `tenant ${holder.tenant}`;
  switch (answer.code) {
    case "invalid_request":
    case "missing_token":
    case "invalid_token":
      return problem(
        id,
        `the token is not taken (${nameOf(answer)})`,
        "the gateway's log says in its line 'request' what is wrong with it; is it of an issuer of the config that was applied, and not past?",
      );
    case "tenant_not_allowed":
      return problem(
        id,
        `the token is good, but ${tenant} may not use this gateway (${nameOf(answer)})`,
        "is the tenant in the config that was applied, switched on, and on the issuer's list?",
      );
    case "identity_unavailable":
      return problem(
        id,
        `the gateway cannot get the issuer's keys (${nameOf(answer)})`,
        "is jwks_uri right, and can it be reached from where the gateway runs? (lint --online)",
      );
    case "config_invalid":
      return problem(
        id,
        `the token is good, but the config of ${tenant} does not pass (${nameOf(answer)})`,
        "the gateway's log has a line config_invalid that says why: most often a secret that is not set",
      );
    case "rate_limited":
    case "internal_error":
      return notChecked(id, `the gateway answered ${nameOf(answer)}`);
    default:
      return isGateways(answer)
        ? ok(id, `the token is taken, and ${tenant} is known`)
        : problem(id, `something else answered (${nameOf(answer)})`, STRANGER);
  }
}

const STRANGER = "is this the gateway's address, and nothing in between that answers for it?";

/** A run, or an error of the gateway's own table; a proxy's page is neither. */
function isGateways({ status, code, body }: Answer): boolean {
  if (code !== null) return Object.hasOwn(FAILURES, code);
  return status === 200 && Run.safeParse(body).success;
}

/** With these it ends at the door, whatever is asked for. */
const AT_THE_DOOR: readonly (string | null)[] = [
  ...["invalid_request", "missing_token", "invalid_token", "tenant_not_allowed"],
  ...["identity_unavailable", "config_invalid", "rate_limited"],
];

const CURES: Readonly<Record<string, string>> = {
  upstream_rejected_credentials:
    "set the tenant's upstream key again (npx wrangler secret put, or seal), or look at the upstream whether it was revoked",
  upstream_unreachable: "is base_url right, and can it be reached from where the gateway runs?",
  upstream_retired: "this API was switched off there: choose another kind of upstream",
  upstream_error:
    "is base_url right, with its version and without a path too much? is the kind right?",
  upstream_timeout: "is the upstream up?",
  upstream_rate_limited: "ask again later; the upstream limits this key",
};

function upstreamKeyOf(answer: Answer, holder: Holder | null): Check {
  const id = "upstream-key";
  const { code, status } = answer;
  if (AT_THE_DOOR.includes(code)) return notChecked(id, "not asked: see above");
  if (code === "insufficient_scope") {
    return notChecked(id, "not asked: the token has the scopes of no rule");
  }
  if (code === "audit_unavailable") {
    const cure = "the ledger (a Durable Object) cannot be reached: look at the log";
    return problem(id, `whose run it is cannot be looked up (${nameOf(answer)})`, cure);
  }
  if (!isGateways(answer)) return notChecked(id, "not asked: see above");
  if (status === 200 || (code === "policy_denied" && holder !== null && asksUpstream(holder))) {
    return ok(id, "the upstream was asked, and took the key");
  }
  if (code === "policy_denied") {
    return notChecked(id, "whether the upstream was asked is not known: a rule denies it");
  }
  if (code !== "run_not_found") {
    const cure = CURES[code ?? ""] ?? "look at the gateway's log";
    return problem(id, `asking for a run ends with ${nameOf(answer)}`, cure);
  }
  if (holder === null) {
    return notChecked(
      id,
      "whether the upstream was asked is not known without the config (--config)",
    );
  }
  if (asksUpstream(holder)) {
    return ok(
      id,
      "the upstream was asked and did not refuse the key (it has no such run, as it should; a wrong path in base_url may answer so too)",
    );
  }
  const { source } = holder.entry.ownership;
  return notChecked(id, `not asked: with ownership by ${source} this run is nobody's`);
}

/** Whether proving whose run it is, or judging it, takes a read. */
function asksUpstream({ entry, scopes, grants }: Holder): boolean {
  const { ownership, rules, assistants } = entry;
  switch (ownership.source) {
    case "metadata":
    case "credential":
      return true;
    case "grant":
      return grantsRun(grants, NO_RUN) || grantedThreads(grants, NO_RUN).length > 0;
    case "registry":
      return dependsOnRun(rules, assistants, scopes);
  }
}

const EventList = z.looseObject({ object: z.literal("list"), data: z.array(z.unknown()) });

export async function auditLog({ url, fetch }: Gateway, token: string): Promise<Check> {
  const id = "audit-log";
  const answer = await ask(fetch, `${url}/v1/audit/events?limit=1`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (answer.status === 200 && EventList.safeParse(answer.body).success) {
    return ok(id, "can be read");
  }
  if (answer.code === "insufficient_scope") {
    return notChecked(id, "the token has not the scope audit:read");
  }
  if (AT_THE_DOOR.includes(answer.code)) return notChecked(id, "not asked: see above");
  return problem(
    id,
    `reading it ends with ${nameOf(answer)}`,
    "look at the gateway's log; is the KV namespace AUDIT bound?",
  );
}
