// Whose run is it? Proof, from the source that the tenant's config names. No proof means no.
import type { Tenant } from "../config/load.ts";
import { asRefusal, Refusal } from "../failure.ts";
import { type Caller, grantedThreads, grantsRun } from "../identity/claims.ts";
import { member } from "../upstreams/json.ts";
import {
  type FoundRun,
  findUpstreamRun,
  isTooLarge,
  type ReadRun,
  type UpstreamTools,
} from "../upstreams/read.ts";
import type { Target } from "../upstreams/upstream.ts";
import type { Proof } from "./authorise.ts";
import { ownerNameOf } from "./person.ts";

export interface OwnershipTools extends UpstreamTools {
  /** The run in question, where it has just been found by a list: it need not be read again. */
  readonly listed?: ReadRun | undefined;
  /** Who is registered as the run's owner; null when nobody is. Throws `audit_unavailable`. */
  readonly ownerOf: (target: Target) => Promise<string | null>;
  /** The ids of the runs that are registered on the thread, or those of one subject, the newest first. Throws `audit_unavailable`. */
  readonly registeredOn: (threadId: string, subject: string | null) => Promise<readonly string[]>;
}

export interface Proved {
  /** Null: only the registry can say, and it has not been asked yet. */
  readonly proof: Proof | null;
  /** The run, where proving it, or judging it, took a read. */
  readonly read: ReadRun | null;
  /** The upstream does not know the run; the registry is to be asked all the same. */
  readonly isUnknown?: boolean;
  /** Why the run that was found cannot be shown: for a caller whom a rule could allow it, and for no other. */
  readonly unreadable?: Refusal | null;
}

/**
 * `mustRead`: the rules look at the run itself. Throws `Refusal`: `run_not_found`, or what kept the
 * run from being read at all.
 */
export async function proveOwnership(
  tools: OwnershipTools,
  tenant: Tenant,
  caller: Caller,
  target: Target,
  mustRead: boolean,
): Promise<Proved> {
  const { connection, ownership } = tenant;
  const findIf = async (needed: boolean): Promise<FoundRun | null> => {
    if (tools.listed !== undefined) return { ...tools.listed, read: tools.listed };
    return needed ? await findUpstreamRun(tools, connection, target) : null;
  };
  switch (ownership.source) {
    case "grant": {
      const named = grantsRun(caller.grants, target);
      const threads = grantedThreads(caller.grants, target);
      // A run that is not granted is not read either: an unknown one costs the same.
      if (!named && threads.length === 0) return { proof: "nothing", read: null };
      const checksThread =
        !named && (target.threadId === null || !connection.adapter.cancelChecksThread);
      const found = await findIf(mustRead || checksThread).catch(unlessTooLarge);
      if (found instanceof Refusal) return tooLarge(found, named ? "person" : "nothing");
      const proved = !checksThread || threads.some((thread) => thread === found?.thread);
      return provedBy(proved ? "person" : "nothing", found);
    }
    case "credential":
      return provedBy("tenant", await findIf(mustRead));
    case "registry": {
      // Whether the run is unknown or another's must not be told by who is asked about it.
      const found = await findIf(mustRead).catch(unlessUnknown).catch(unlessTooLarge);
      if (found instanceof Refusal) return tooLarge(found, null);
      return { ...provedBy(null, found), isUnknown: mustRead && found === null };
    }
    case "metadata": {
      const found = await findIf(true).catch(unlessTooLarge);
      if (found instanceof Refusal) return tooLarge(found, "nothing");
      const { unproved = null, metadata } = found ?? {};
      if (unproved !== null && isTooLarge(unproved)) return tooLarge(unproved, "nothing");
      if (unproved !== null) throw unproved;
      const name = ownerNameOf(tenant, caller);
      return provedBy(proofIn(metadata, ownership, tenant.id, name), found);
    }
  }

  /** Without its object nothing of it is proved but what was proved already: the log alone says why. */
  function tooLarge(unreadable: Refusal, proof: Proof | null): Proved {
    tools.log("warn", "upstream_reply_too_large", { tenant: tenant.id, upstream: connection.name });
    return { proof, read: null, unreadable };
  }
}

function provedBy(proof: Proof | null, found: FoundRun | null): Proved {
  const read = found?.read ?? null;
  return read instanceof Refusal
    ? { proof, read: null, unreadable: read }
    : { proof, read, unreadable: null };
}

function unlessUnknown(error: unknown): null {
  if (asRefusal(error).reason === "run_not_found") return null;
  throw error;
}

function unlessTooLarge(error: unknown): Refusal {
  const refusal = asRefusal(error);
  if (isTooLarge(refusal)) return refusal;
  throw error;
}

/** What a run's metadata proves. `subject`: the name that the caller's own runs carry; null when none can. */
export function proofIn(
  metadata: unknown,
  keys: { readonly tenant_key: string; readonly subject_key: string },
  tenantId: string,
  subject: string | null,
): Proof {
  if (member(metadata, keys.tenant_key) !== tenantId) return "nothing";
  const isOwn = subject !== null && member(metadata, keys.subject_key) === subject;
  return isOwn ? "person" : "tenant";
}

/** What the registry proves. `subject`: as for `proofIn`. */
export function proofBy(owner: string | null, subject: string | null): Proof {
  if (owner === null) return "nothing";
  return owner === subject ? "person" : "tenant";
}
