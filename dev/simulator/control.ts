// The routes under `/simulator`: faults, the list of calls, health. No key: it is a local tool.
import { Hono } from "hono";
import { Fault } from "./faults.ts";
import { bodyOf } from "./requests.ts";
import type { Store } from "./store.ts";

export function controlRoutes({ faults, calls }: Store): Hono {
  return new Hono()
    .get("/health", (c) => c.json({ status: "ok" }))
    .post("/faults", async (c) => {
      const fault = await bodyOf(c, Fault);
      faults.push(fault);
      return c.json(fault, 201);
    })
    .delete("/faults", (c) => {
      faults.length = 0;
      return c.body(null, 204);
    })
    .get("/calls", (c) => c.json([...calls.values()]))
    .delete("/calls", (c) => {
      calls.clear();
      return c.body(null, 204);
    });
}
