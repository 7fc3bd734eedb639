// The Worker: the only file that sees `env`. Wires everything; exports fetch and the ledger.
import { v7 as newId } from "uuid";
import { createApp } from "./app.ts";
import { LedgerObject, type LedgerRpc } from "./audit/ledger.ts";
import { rateBinding } from "./config/schema.ts";
import { type Bindings, createGateway, type World } from "./gateway.ts";
import { consoleLog as log } from "./logger.ts";

const world: World = {
  fetch: (input, init) => fetch(input, init),
  now: () => Date.now(),
  sleep: (ms) => scheduler.wait(ms),
  newId: () => newId(),
  random: () => Math.random(),
  log,
};

function bindingsOf(env: Env): Bindings {
  return {
    config: env.CONFIG,
    audit: env.AUDIT,
    // A stub is the object it stands for; its generated type merely cannot say so.
    ledger: (tenant) => env.LEDGER.getByName(tenant) as unknown as LedgerRpc,
    keyCache: () => caches.open("identity-keys"),
    limits: { address: env.ADDRESS_RATE, tier: (name) => tierOf(env, name) },
    secret: (name) => {
      const value: unknown = Reflect.get(env, name);
      return typeof value === "string" ? value : undefined;
    },
  };
}

/** Tiers are what wrangler.toml says, so the generated types do not know their names. */
function tierOf(env: Env, name: string): RateLimit | undefined {
  const binding: unknown = Reflect.get(env, rateBinding(name));
  return typeof binding === "object" && binding !== null && "limit" in binding
    ? (binding as RateLimit)
    : undefined;
}

export class Ledger extends LedgerObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, { ...world, kv: env.AUDIT });
  }
}

let app: ReturnType<typeof createApp> | undefined;

export default {
  fetch(request, env, ctx) {
    app ??= createApp(createGateway(bindingsOf(env), world));
    return app.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<Env>;
