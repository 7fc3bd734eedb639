// The Worker: the only file that sees `env`. Wires everything; exports fetch and the ledger.
import { v7 as newId } from "uuid";
import { createApp } from "./app.ts";
import { LedgerObject, type LedgerRpc } from "./audit/ledger.ts";
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
    limits: { standard: env.RATE_STANDARD, strict: env.RATE_STRICT },
    secret: (name) => {
      const value: unknown = Reflect.get(env, name);
      return typeof value === "string" ? value : undefined;
    },
  };
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
