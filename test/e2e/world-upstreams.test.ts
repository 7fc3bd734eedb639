// The upstream table over HTTP: one gateway as `npm start` runs it, and one server that plays all upstreams.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newSigningKey } from "../../cli/signing-key.ts";
import { createIssuer } from "../../dev/issuer.ts";
import {
  bodyOf,
  CASES,
  createWorld,
  type Driver,
  drive,
  headersOf,
  placeOf,
  WORLD_AUDIENCE,
  WORLD_ISSUER,
  worldConfig,
  worldSecrets,
} from "../world/upstreams.ts";
import { type BlackBox, startBlackBox } from "./support/black-box.ts";

const world = createWorld(CASES);
const issuer = await createIssuer({ issuer: WORLD_ISSUER, alg: "ES256", audience: WORLD_AUDIENCE });
let upstreams: Server;
let gateway: BlackBox;
beforeAll(async () => {
  upstreams = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://world");
    const step = world.answer(request.method ?? "", pathname);
    if (step === "breaks") {
      request.socket.destroy();
      return;
    }
    response.writeHead(step.status, Object.fromEntries(headersOf(step)));
    response.end(bodyOf(step, placeOf(pathname)));
  });
  await new Promise<void>((resolve) => upstreams.listen(0, "127.0.0.1", resolve));
  const { port } = upstreams.address() as AddressInfo;
  const config = worldConfig(CASES, `http://127.0.0.1:${port}`, issuer.publicJwks);
  const secrets = { ...worldSecrets(CASES), AUDIT_SIGNING_KEY: await newSigningKey() };
  gateway = await startBlackBox({ config, secrets });
});
afterAll(async () => {
  await gateway?.stop();
  upstreams?.closeAllConnections();
  upstreams?.close();
});

const driver: Driver = {
  request: (path, init) => fetch(`${gateway.origin}${path}`, init),
  world,
  mint: (claims) => issuer.mint(claims),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

describe("the world's upstreams, over HTTP", () => {
  it.each(CASES.map((given, index) => ({ ...given, index })))(
    "$row: $name ($upstream.kind, $ownership)",
    async ({ index, ...given }) => {
      for (const { seen, expected, told, body } of await drive(given, index, driver)) {
        expect(seen, body).toEqual(expected);
        for (const text of [
          ...(given.expected.hides ?? []),
          ...(given.afterwards?.expected.hides ?? []),
        ]) {
          expect(told).not.toContain(text);
          expect(gateway.output()).not.toContain(text);
        }
      }
      // The reply may be here before the line is.
      for (const words of given.expected.logs ?? []) {
        await expect.poll(() => gateway.output().includes(words), { timeout: 5_000 }).toBe(true);
      }
      expect(world.unexpected).toEqual([]);
    },
  );
});
