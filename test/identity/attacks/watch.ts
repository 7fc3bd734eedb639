// What a gateway does behind its reply: calls upstream, fetches from anywhere else, writes, records.
import { env } from "cloudflare:workers";
import type { AuditEvent } from "../../../src/audit/event.ts";
import type { LedgerRpc } from "../../../src/audit/ledger.ts";
import type { Bindings } from "../../../src/gateway.ts";
import { type HarnessOptions, SIMULATOR } from "../../support/harness.ts";

export const NOTHING = { upstream: 0, elsewhere: 0, writes: 0, ledger: 0, tenants: 0 };

export function createWatch() {
  const counts = { ...NOTHING };
  /** Refusals, and the cancels that went on. */
  const recorded: AuditEvent[] = [];
  const begun: AuditEvent[] = [];

  const network: NonNullable<HarnessOptions["network"]> = (simulator) => async (input, init) => {
    const address = input instanceof Request ? input.url : String(input);
    counts[address.startsWith(`${SIMULATOR}/`) ? "upstream" : "elsewhere"] += 1;
    return await simulator(input, init);
  };

  const ledgerOf = (tenant: string): LedgerRpc => {
    counts.ledger += 1;
    const real = env.LEDGER.getByName(tenant) as unknown as LedgerRpc;
    return {
      begin: (intent) => {
        begun.push(intent.event);
        return real.begin(intent);
      },
      beginIfOwned: (claim) => real.beginIfOwned(claim),
      register: (registration) => real.register(registration),
      ownerOf: (threadId, runId) => real.ownerOf(threadId, runId),
      registeredOn: (threadId, subject) => real.registeredOn(threadId, subject),
      join: (intent, leader) => real.join(intent, leader),
      handOver: (event, result, remember) => real.handOver(event, result, remember),
      finish: (finish) => real.finish(finish),
      record: (event, retentionDays) => {
        recorded.push(event);
        return real.record(event, retentionDays);
      },
      unpublished: () => real.unpublished(),
      cancelledAt: (threadId, runId) => real.cancelledAt(threadId, runId),
    };
  };

  const bindings: Partial<Bindings> = {
    audit: {
      get: env.AUDIT.get.bind(env.AUDIT),
      list: env.AUDIT.list.bind(env.AUDIT),
      put: (...written) => {
        counts.writes += 1;
        return env.AUDIT.put(...written);
      },
    },
    config: {
      get: ((key: string) => {
        if (key.includes("tenant")) counts.tenants += 1;
        return env.CONFIG.get(key);
      }) as KVNamespace["get"],
    },
    ledger: ledgerOf,
  };

  return {
    bindings,
    network,
    counts,
    recorded,
    begun,
    forget: () => {
      Object.assign(counts, NOTHING);
      recorded.length = 0;
      begun.length = 0;
    },
  };
}
