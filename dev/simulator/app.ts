// The simulator: two upstreams, a local issuer and the controls, as one Hono app. Also the order of
// every request: noted, met by a fault or not, answered.
import { type Context, Hono, type Next } from "hono";
import type { Algorithm } from "../issuer.ts";
import { assistantsRoutes } from "./assistants.ts";
import { callOf } from "./calls.ts";
import { controlRoutes } from "./control.ts";
import { invalidUrl, WireError } from "./errors.ts";
import { type Fault, faultReply, takeFault } from "./faults.ts";
import { issuerRoutes } from "./issuer-routes.ts";
import { responsesRoutes } from "./responses.ts";
import { createStore, remember } from "./store.ts";
import type { World } from "./world.ts";

export interface SimulatorOptions extends Pick<World, "now" | "newId" | "sleep"> {
  /** Which bearer keys are good. Default: those that start with `sk-`. */
  readonly acceptsKey?: World["acceptsKey"];
  /** What the local issuer signs with. Default: RS256, as most identity providers. */
  readonly algorithm?: Algorithm;
  /** The `aud` of a token whose request names none. Default: `stopgate`. */
  readonly audience?: string;
}

/** Longer than any client waits. It ends at all because a Worker that waits for nothing is killed. */
const HANG_MS = 600_000;

export function createSimulator(options: SimulatorOptions): Hono {
  const { acceptsKey = (key) => key.startsWith("sk-"), algorithm = "RS256" } = options;
  const { audience = "stopgate" } = options;
  const world: World = { ...options, acceptsKey, store: createStore() };

  return new Hono()
    .route("/simulator", controlRoutes(world.store))
    .use(answering(world))
    .route("/assistants/v1", assistantsRoutes(world))
    .route("/responses/v1", responsesRoutes(world))
    .route("/issuer", issuerRoutes({ algorithm, audience, world }))
    .notFound((c) => c.json(invalidUrl(c.req.method, c.req.path), 404))
    .onError((error, c) => {
      if (error instanceof WireError) return c.json(error.body, error.status);
      throw error;
    });
}

function answering(world: World) {
  const { store, now, newId, sleep } = world;

  return async function answer(c: Context, next: Next): Promise<void> {
    const { pathname, search } = new URL(c.req.url);
    const path = `${pathname}${search}`;
    const requestId = newId("req");
    const call = callOf(c.req.raw, path, now());
    remember(store.calls, requestId, call);

    const fault = takeFault(store.faults, c.req.method, path);
    if (fault === undefined) await next();
    else await meet(fault.reply);

    c.res.headers.set("x-request-id", requestId);
    c.res.headers.set("openai-organization", "org-Simulated1234");
    // Not when somebody emptied the list meanwhile.
    if (store.calls.has(requestId)) {
      remember(store.calls, requestId, { ...call, status: c.res.status });
    }

    async function meet(reply: Fault["reply"]): Promise<void> {
      if (reply.apply) await next();
      if (reply.delay_ms !== undefined) await sleep(reply.delay_ms);
      if (reply.hang) await sleep(HANG_MS);
      if (reply.status !== undefined) {
        c.res = faultReply(reply.status, reply, c.req.raw);
      } else if (!reply.apply) {
        await next();
      }
    }
  };
}
