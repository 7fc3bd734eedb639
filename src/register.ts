// The journey of the app's backend: it says whose run it has just started, for tenants whose proof is
// the registry.
import { register } from "./audit/journal.ts";
import { enter } from "./enter.ts";
import { Refusal, type Trail } from "./failure.ts";
import type { Gateway } from "./gateway.ts";
import type { RegisterAsk } from "./http/ask.ts";
import { ownerOf } from "./policy/person.ts";

/** Throws `Refusal`. Every end is put on record. A later registration takes the place of an earlier one. */
export async function registerOwner(gateway: Gateway, ask: RegisterAsk): Promise<Trail> {
  const { caller, tenant, event, denied } = await enter(gateway, ask);
  if (!caller.scopes.has(ask.serviceScope)) {
    const { serviceScope } = ask;
    denied(new Refusal("insufficient_scope", { detail: serviceScope, scopes: [serviceScope] }));
  }
  const { ownership } = tenant;
  if (ownership.source !== "registry") {
    const words = `The tenant's source of ownership is '${ownership.source}', so a registration would prove nothing.`;
    return denied(new Refusal("invalid_request", { words }));
  }
  const subject = await ask.subject().catch(denied);
  const person = ownerOf(tenant, subject, caller.issuer);
  const owner = { ...person, days: ownership.retention_days };
  await register(gateway.audit, tenant, event, owner).catch(denied);
  return { auditId: event.id, origins: tenant.origins };
}
