// The local issuer: tokens verify with jose against its own key set, and carry what they should.
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JSONWebKeySet,
  jwtVerify,
} from "jose";
import { describe, expect, it } from "vitest";
import { type Algorithm, createIssuer } from "../../dev/issuer.ts";

const ISSUER = "https://id.example.test";
const NOW_MS = 1_790_000_000_500;
const NOW_SECONDS = 1_790_000_000;
const ALGORITHMS: Algorithm[] = ["RS256", "PS256", "ES256", "EdDSA"];

function issuerFor(alg: Algorithm) {
  let count = 0;
  return createIssuer({
    issuer: ISSUER,
    alg,
    audience: "https://stop.example.test",
    now: () => NOW_MS,
    newId: () => {
      count += 1;
      return `jti_${count}`;
    },
  });
}

/** A mutable copy, as jose's type wants it. */
function keySet(issuer: Awaited<ReturnType<typeof issuerFor>>): JSONWebKeySet {
  return { keys: [...issuer.publicJwks.keys] };
}

describe("createIssuer", () => {
  it.each(ALGORITHMS)("signs a token of %s that verifies against its public keys", async (alg) => {
    const issuer = await issuerFor(alg);
    const token = await issuer.mint({ sub: "u1", tenant: "acme", scope: "runs:cancel" });
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keySet(issuer)), {
      issuer: ISSUER,
      audience: "https://stop.example.test",
      algorithms: [alg],
      typ: "at+jwt",
      currentDate: new Date(NOW_MS),
    });
    expect(protectedHeader).toEqual({ alg, typ: "at+jwt", kid: issuer.publicJwks.keys[0]?.kid });
    expect(payload).toEqual({
      iss: ISSUER,
      aud: "https://stop.example.test",
      sub: "u1",
      org_id: "acme",
      scope: "runs:cancel",
      iat: NOW_SECONDS,
      exp: NOW_SECONDS + 12 * 60 * 60,
      jti: "jti_1",
    });
  });

  it("publishes no private part of its key", async () => {
    for (const alg of ALGORITHMS) {
      const [jwk, ...others] = (await issuerFor(alg)).publicJwks.keys;
      expect(others).toEqual([]);
      expect(jwk).toMatchObject({ alg, use: "sig", kid: expect.any(String) });
      for (const secret of ["d", "p", "q", "dp", "dq", "qi", "k"]) {
        expect(jwk).not.toHaveProperty(secret);
      }
    }
  });

  it("makes another key each time", async () => {
    const [one, two] = [await issuerFor("ES256"), await issuerFor("ES256")];
    expect(one.publicJwks.keys[0]?.kid).not.toBe(two.publicJwks.keys[0]?.kid);
  });

  it("lets claims, lifetime and header be chosen, and standard claims be left out", async () => {
    const issuer = await issuerFor("ES256");
    const details = [{ type: "run_cancel", thread_id: "thread_1", run_id: "run_1" }];
    const token = await issuer.mint(
      {
        sub: "u1",
        aud: ["a", "b"],
        jti: undefined,
        client_id: "web",
        authorization_details: details,
      },
      { expiresInSeconds: -60, header: { typ: "JWT", kid: "other" } },
    );
    expect(decodeProtectedHeader(token)).toEqual({ alg: "ES256", typ: "JWT", kid: "other" });
    expect(decodeJwt(token)).toEqual({
      iss: ISSUER,
      aud: ["a", "b"],
      sub: "u1",
      client_id: "web",
      authorization_details: details,
      iat: NOW_SECONDS,
      exp: NOW_SECONDS - 60,
    });
  });

  it("gives every token its own id", async () => {
    const issuer = await issuerFor("ES256");
    const ids = [await issuer.mint({ sub: "u" }), await issuer.mint({ sub: "u" })].map(
      (token) => decodeJwt(token).jti,
    );
    expect(ids).toEqual(["jti_1", "jti_2"]);
  });
});
