// The `openai-responses` wire: create, read, cancel and delete a Response, with the replies of
// OpenAI's table of cancels: the same object again, four different 400s, and the 404.
import { type Context, Hono } from "hono";
import { cannotCancelResponse, invalidParameter, noSuchResponse } from "./errors.ts";
import { ownEndMsOf, responseStateAt, type Timing } from "./machine.ts";
import { bodyOf, CreateResponse, DEFAULT_TIMING, projectOf, timingOf } from "./requests.ts";
import { responseObject } from "./response-object.ts";
import { ownedBy, type ResponseRecord, remember } from "./store.ts";
import type { World } from "./world.ts";

/** A synchronous caller waits for the end, so its default is short. */
const SYNCHRONOUS_TIMING: Timing = { ...DEFAULT_TIMING, queuedMs: 0, runMs: 200 };

export function responsesRoutes(world: World): Hono {
  const { store, now, newId, sleep } = world;

  const responseFor = (c: Context, nowMs: number): ResponseRecord => {
    const project = projectOf(c, world.acceptsKey);
    const id = c.req.param("response") ?? "";
    const response = ownedBy(store.responses, project, id);
    if (response === undefined || !isFindable(response, nowMs)) throw noSuchResponse(id);
    return response;
  };

  return new Hono()
    .post("/responses", async (c) => {
      const project = projectOf(c, world.acceptsKey);
      const request = await bodyOf(c, CreateResponse);
      const background = request.background === true;
      const timing = timingOf(c, background ? DEFAULT_TIMING : SYNCHRONOUS_TIMING);
      if (timing.ends === "expired") {
        throw invalidParameter("x-simulate-timing", "A response does not expire.");
      }
      if (background && request.store === false) {
        throw invalidParameter("background", "A background response must be stored.");
      }
      const life = { createdMs: now(), cancelMs: null, timing };
      const response = { id: newId("resp"), project, request, life };
      if (request.store !== false) remember(store.responses, response.id, response);
      if (background) return c.json(responseObject(response, life.createdMs));
      await sleep(timing.queuedMs + timing.runMs);
      return c.json(responseObject(response, ownEndMsOf(life)));
    })
    .get("/responses/:response", (c) => {
      const nowMs = now();
      return c.json(responseObject(responseFor(c, nowMs), nowMs));
    })
    .delete("/responses/:response", (c) => {
      const { id } = responseFor(c, now());
      store.responses.delete(id);
      return c.json({ id, object: "response", deleted: true });
    })
    .post("/responses/:response/cancel", (c) => {
      const nowMs = now();
      const response = responseFor(c, nowMs);
      if (!isBackground(response)) throw cannotCancelResponse("synchronous");
      const { status } = responseStateAt(response.life, nowMs);
      if (status === "cancelled") return c.json(responseObject(response, nowMs));
      if (status !== "queued" && status !== "in_progress") throw cannotCancelResponse(status);
      const cancelled = { ...response, life: { ...response.life, cancelMs: nowMs } };
      remember(store.responses, response.id, cancelled);
      return c.json(responseObject(cancelled, nowMs));
    });
}

function isBackground({ request }: ResponseRecord): boolean {
  return request.background === true;
}

/** A synchronous response appears only when it has finished. */
function isFindable(response: ResponseRecord, nowMs: number): boolean {
  return isBackground(response) || nowMs >= ownEndMsOf(response.life);
}
