// Every route, in order: the table of contents.
import { type Context, Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { type RequestIdVariables, requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import type * as z from "zod";
import { exportEvents, findEvent, listEvents } from "./audit/api.ts";
import { cancelRun } from "./cancel.ts";
import { cancelThread } from "./cancel-thread.ts";
import { enterAsAuditor } from "./enter.ts";
import { explainPolicy } from "./explain.ts";
import { asRefusal, Refusal } from "./failure.ts";
import type { Gateway } from "./gateway.ts";
import {
  ResponseParams,
  RunParams,
  readAuditAsk,
  readCancelAsk,
  readCancelThreadAsk,
  readExplainAsk,
  readRegisterAsk,
  readRunAsk,
  ThreadParams,
} from "./http/ask.ts";
import { bulkhead } from "./http/bulkhead.ts";
import { crossOrigin, narrowCors } from "./http/cors.ts";
import { keptAlive } from "./http/kept-alive.ts";
import { ExportQuery, ListQuery, NoQuery, readQuery, withoutQuery } from "./http/query.ts";
import { logged } from "./http/request-log.ts";
import {
  respond,
  respondRefusal,
  respondRegistered,
  respondThread,
  stamped,
} from "./http/respond.ts";
import { validIds } from "./http/validated.ts";
import description from "./openapi.json" with { type: "json" };
import { readRun } from "./read.ts";
import { registerOwner } from "./register.ts";

type App = Hono<{ Variables: RequestIdVariables }>;

const SECURITY_HEADERS = {
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
};

const THREAD = "/v1/threads/:thread_id";
const RUN = `${THREAD}/runs/:run_id`;
const RESPONSE = "/v1/responses/:response_id";

export function createApp(gateway: Gateway): App {
  // Not strict: an address with a slash at its end is the same one.
  const app: App = new Hono<{ Variables: RequestIdVariables }>({ strict: false });

  app.use(keptAlive);
  app.use(requestId({ headerName: "", generator: () => `req_${gateway.newId()}` }));
  app.use(stamped);
  app.use(logged(gateway));
  app.use(secureHeaders(SECURITY_HEADERS));
  // Never default-open: without a config that passes, no route answers.
  app.use(async function configured(_, next) {
    await gateway.config.base();
    await next();
  });
  app.use("/v1/*", crossOrigin(gateway));
  app.use("/v1/*", bulkhead(gateway));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        c.header("allow", methods.join(", "));
        return respondRefusal(c, new Refusal("method_not_allowed"));
      },
    }),
  );

  const aRun = validIds(RunParams);
  const aThread = validIds(ThreadParams);
  const aResponse = validIds(ResponseParams);
  app.post(`${RUN}/cancel`, aRun, async (c) => {
    const ask = readCancelAsk(c, c.req.valid("param"));
    return respond(c, await cancelRun(gateway, ask));
  });
  app.get(RUN, aRun, async (c) =>
    respond(c, await readRun(gateway, readRunAsk(c, c.req.valid("param")))),
  );
  app.put(`${RUN}/owner`, aRun, async (c) =>
    respondRegistered(c, await registerOwner(gateway, readRegisterAsk(c, c.req.valid("param")))),
  );
  app.post(`${THREAD}/cancel`, aThread, async (c) => {
    const ask = readCancelThreadAsk(c, c.req.valid("param"));
    return respondThread(c, await cancelThread(gateway, ask));
  });

  app.post(`${RESPONSE}/cancel`, aResponse, async (c) => {
    const ask = readCancelAsk(c, c.req.valid("param"));
    return respond(c, await cancelRun(gateway, ask));
  });
  app.get(RESPONSE, aResponse, async (c) =>
    respond(c, await readRun(gateway, readRunAsk(c, c.req.valid("param")))),
  );
  app.put(`${RESPONSE}/owner`, aResponse, async (c) =>
    respondRegistered(c, await registerOwner(gateway, readRegisterAsk(c, c.req.valid("param")))),
  );

  app.post("/v1/policy/explain", async (c) => {
    const { explanation, origins } = await explainPolicy(gateway, readExplainAsk(c));
    narrowCors(c, origins);
    return c.json(explanation);
  });

  const auditorOf = async (c: Context, query: z.ZodObject) => {
    const auditor = await enterAsAuditor(gateway, readAuditAsk(c, query));
    narrowCors(c, auditor.origins);
    return auditor;
  };
  app.get("/v1/audit/events", async (c) => {
    const { tools, tenant, denied } = await auditorOf(c, ListQuery);
    const { limit, cursor } = readQuery(c, ListQuery);
    return c.json(await listEvents(tools, tenant, limit, cursor).catch(denied));
  });
  app.get("/v1/audit/events/:id", async (c) => {
    const { tools, tenant } = await auditorOf(c, NoQuery);
    const event = await findEvent(tools, tenant, c.req.param("id"));
    return event === null ? c.notFound() : c.json(event);
  });
  app.get("/v1/audit/export", async (c) => {
    const { tools, tenant, denied } = await auditorOf(c, ExportQuery);
    const { cursor } = readQuery(c, ExportQuery);
    const lines = await exportEvents(tools, tenant, cursor).catch(denied);
    return c.body(lines, 200, { "content-type": "application/x-ndjson" });
  });

  app.get("/.well-known/audit-keys.json", withoutQuery, (c) =>
    c.json(gateway.audit.signer.publicKeys),
  );
  app.get("/healthz", withoutQuery, (c) => c.json({ status: "ok" }));

  app.get("/openapi.json", withoutQuery, (c) => c.json(description));

  app.notFound((c) => respondRefusal(c, new Refusal("not_found")));
  app.onError((error, c) => respondRefusal(c, asRefusal(error)));
  return app;
}
