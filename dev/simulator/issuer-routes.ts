// The local issuer over HTTP. Its token endpoint signs for anybody: never trust it outside this
// machine. One key, made at first use and kept as data: a Worker must not share a promise.
import { Hono } from "hono";
import * as z from "zod";
import {
  type Algorithm,
  createKey,
  DEFAULT_EXPIRY_SECONDS,
  type Issuer,
  issuerWith,
  type SigningKey,
} from "../issuer.ts";
import { bodyOf } from "./requests.ts";
import type { World } from "./world.ts";

const TokenRequest = z.looseObject({
  sub: z.string(),
  tenant: z.string().optional(),
  scope: z.string().optional(),
  expires_in: z.int().optional(),
});

export interface IssuerRoutesOptions {
  readonly algorithm: Algorithm;
  readonly audience: string;
  readonly world: World;
}

export function issuerRoutes({ algorithm, audience, world }: IssuerRoutesOptions): Hono {
  let key: SigningKey | undefined;

  const issuerAt = async (url: string): Promise<Issuer> => {
    if (key === undefined) {
      const made = await createKey(algorithm);
      // Whoever was faster stays: tokens may be signed with it already.
      key ??= made;
    }
    return issuerWith(key, {
      issuer: `${new URL(url).origin}/issuer`,
      audience,
      now: world.now,
      newId: () => world.newId("jti"),
    });
  };

  return new Hono()
    .get("/.well-known/jwks.json", async (c) => c.json((await issuerAt(c.req.url)).publicJwks))
    .get("/.well-known/openid-configuration", async (c) => {
      const { issuer } = await issuerAt(c.req.url);
      return c.json({
        issuer,
        jwks_uri: `${issuer}/.well-known/jwks.json`,
        token_endpoint: `${issuer}/token`,
        response_types_supported: ["token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [algorithm],
      });
    })
    .post("/token", async (c) => {
      const { expires_in = DEFAULT_EXPIRY_SECONDS, ...claims } = await bodyOf(c, TokenRequest);
      const issuer = await issuerAt(c.req.url);
      const accessToken = await issuer.mint(claims, { expiresInSeconds: expires_in });
      return c.json({ access_token: accessToken, token_type: "Bearer", expires_in });
    });
}
