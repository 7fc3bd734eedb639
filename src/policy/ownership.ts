// Whose run is it? Proof, from the source that the tenant's config names. No proof means no.
import type { Tenant } from "../config/load.ts";
import { type Caller, isGranted } from "../identity/claims.ts";
import type { Run } from "../runs/run.ts";
import { type ReadRun, readRun, type UpstreamTools } from "../upstreams/read.ts";
import { member } from "../upstreams/reading.ts";
import type { Target } from "../upstreams/upstream.ts";

export interface Proof {
  /** The run is the tenant's. */
  readonly tenant: boolean;
  /** The run is the caller's own. Never true without `tenant`. */
  readonly person: boolean;
  /** The run, where proving it took a read. */
  readonly run: Run | null;
}

/** Throws `Refusal`: `run_not_found`, or what kept the run from being read. */
export async function proveOwnership(
  tools: UpstreamTools,
  tenant: Tenant,
  caller: Caller,
  target: Target,
): Promise<Proof> {
  const { ownership, assistants } = tenant;
  const granted = ownership.source === "grant" && isGranted(caller.grants, target);
  // A run that is not granted is not read either: an unknown one costs the same.
  if (ownership.source === "grant" && !granted) return { tenant: false, person: false, run: null };
  const needed = ownership.source === "metadata" || assistants !== undefined;
  const read = needed ? await readRun(tools, tenant.connection, target) : null;
  const run = read?.run ?? null;
  switch (ownership.source) {
    case "grant":
      return { tenant: granted, person: granted, run };
    case "credential":
      return { tenant: true, person: false, run };
    case "metadata":
      return { ...proofIn(read, ownership, tenant.id, caller.subject), run };
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
