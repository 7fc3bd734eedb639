// Identity providers as they are, against `npm start`: the table of `test/world/identity.ts` over HTTP, with
// one server that plays all key endpoints and upstreams.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CASES } from "../world/identity.ts";
import { configOf, createWorld, expectedOf, type Outcome, play } from "../world/identity-stage.ts";
import { type BlackBox, startBlackBox } from "./support/black-box.ts";

const world = createWorld(CASES);
const server = createServer((request, response) => {
  const userAgent = request.headers["user-agent"] ?? null;
  const accept = request.headers.accept ?? null;
  const { status, body, delayMs } = world.answer({ path: request.url ?? "", userAgent, accept });
  setTimeout(() => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }, delayMs);
});

/** At once, so that the cases which wait do not wait for each other. */
const SIDE_BY_SIDE = 16;

let gateway: BlackBox;
let outcomes: readonly Outcome[][];
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  gateway = await startBlackBox({
    config: configOf(CASES, origin, "WORLD_KEY"),
    secrets: { WORLD_KEY: "sk-world" },
  });
  const stage = {
    world,
    origin,
    nowSeconds: () => Math.floor(Date.now() / 1_000),
    // A moment more: the gateway's clock began when the request had arrived.
    wait: (seconds: number) =>
      new Promise<void>((resolve) => setTimeout(resolve, seconds * 1_000 + 500)),
    ask: (path: string, token: string) =>
      fetch(`${gateway.origin}${path}`, { headers: { authorization: `Bearer ${token}` } }),
  };
  const played = new Map<number, Outcome[]>();
  const slowFirst = [...CASES.keys()].sort((one, other) => slowness(other) - slowness(one));
  const next = slowFirst.values();
  const playOn = async (): Promise<void> => {
    for (const index of next) {
      const one = CASES[index];
      if (one !== undefined) played.set(index, await play(one, index, stage));
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, playOn));
  outcomes = CASES.map((_, index) => played.get(index) ?? []);
}, 240_000);
afterAll(async () => {
  await gateway?.stop();
  server.close();
});

function slowness(index: number): number {
  const { later = [], endpoint } = CASES[index] ?? {};
  const waits = later.map(({ waitSeconds = 0 }) => waitSeconds);
  return waits.reduce((sum, each) => sum + each, (endpoint?.delayMs ?? 0) / 1_000);
}

describe("the identity providers of the world", () => {
  it.each(CASES.map((one, index) => ({ ...one, one, index })))(
    "$row: $name → $status",
    ({ one, index }) => {
      expect(outcomes[index]).toEqual(expectedOf(one));
      if (one.fetches !== undefined) expect(world.fetchesOf(index)).toBe(one.fetches);
    },
  );
});
