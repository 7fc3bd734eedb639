// Whose run is it? Proof, from the source that the tenant's config names. No proof means no.
import type { Tenant } from "../config/load.ts";
import { type Caller, isGranted } from "../identity/claims.ts";
import { member } from "../upstreams/json.ts";
import { type ReadRun, readUpstreamRun, type UpstreamTools } from "../upstreams/read.ts";
import type { Target } from "../upstreams/upstream.ts";

export interface Proof {
  /** The run is the tenant's. */
  readonly tenant: boolean;
  /** The run is the caller's own. Never true without `tenant`. */
  readonly person: boolean;
  /** The run, where proving it took a read. */
  readonly read: ReadRun | null;
}

const UNPROVED: Proof = { tenant: false, person: false, read: null };

/** Throws `Refusal`: `run_not_found`, or what kept the run from being read. */
export async function proveOwnership(
  tools: UpstreamTools,
  tenant: Tenant,
  caller: Caller,
  target: Target,
): Promise<Proof> {
  const { connection, ownership, assistants } = tenant;
  const readIf = async (needed: boolean): Promise<ReadRun | null> =>
    needed || assistants !== undefined ? await readUpstreamRun(tools, connection, target) : null;
  switch (ownership.source) {
    case "grant": {
      const named = isGranted(
        caller.grants.filter(({ runId }) => runId !== null),
        target,
      );
      // A run that is not granted is not read either: an unknown one costs the same.
      if (!named && !isGranted(caller.grants, target)) return UNPROVED;
      const mustRead = !named && !connection.adapter.cancelChecksThread;
      const read = await readIf(mustRead);
      const proved = !mustRead || read?.thread === target.threadId;
      return { tenant: proved, person: proved, read };
    }
    case "credential":
      return { tenant: true, person: false, read: await readIf(false) };
    case "metadata": {
      const read = await readIf(true);
      return { ...proofIn(read, ownership, tenant.id, caller.subject), read };
    }
  }
}

function proofIn(
  read: ReadRun | null,
  keys: { readonly tenant_key: string; readonly subject_key: string },
  tenantId: string,
  subject: string,
): { readonly tenant: boolean; readonly person: boolean } {
  const tenant = member(read?.metadata, keys.tenant_key) === tenantId;
  return { tenant, person: tenant && member(read?.metadata, keys.subject_key) === subject };
}
