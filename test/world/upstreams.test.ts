// The upstream table in workerd, through the front door: what real servers answer, and what comes of it.
import { describe, expect, it } from "vitest";
import { createIssuer } from "../../dev/issuer.ts";
import { createHarness } from "../support/harness.ts";
import { TEST_SECRETS } from "../support/secrets.ts";
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
} from "./upstreams.ts";

const ORIGIN = "https://world.test";
const issuer = await createIssuer({ issuer: WORLD_ISSUER, alg: "ES256", audience: WORLD_AUDIENCE });
const world = createWorld(CASES);
const secrets: Readonly<Record<string, string>> = { ...TEST_SECRETS, ...worldSecrets(CASES) };
const { request, lines } = await createHarness({
  config: () => worldConfig(CASES, ORIGIN, issuer.publicJwks),
  bindings: { secret: (name) => secrets[name] },
  network: () => async (input, init) => {
    const { method, url } = new Request(input, init);
    const { pathname } = new URL(url);
    const step = world.answer(method, pathname);
    if (step === "breaks") throw new Error("Network connection lost.");
    const headers = headersOf(step);
    return new Response(bodyOf(step, placeOf(pathname)), { status: step.status, headers });
  },
});
const driver: Driver = {
  request,
  world,
  mint: (claims) => issuer.mint(claims),
  sleep: (ms) => scheduler.wait(ms),
};

/** What is answered of a run that is not there for the caller: one text, whatever the cause. */
const notFound = new Set<string>();

describe("the world's upstreams", () => {
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
          expect(lines.join("\n")).not.toContain(text);
        }
        if (expected.code === "run_not_found") notFound.add(body);
      }
      for (const words of given.expected.logs ?? []) expect(lines.join("\n")).toContain(words);
      expect(world.unexpected).toEqual([]);
      expect(notFound.size).toBeLessThan(2);
    },
  );
});
