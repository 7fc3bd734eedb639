// J34-J36: where and how often a token is presented, and for how long.
import {
  accepted,
  claims,
  type Forge,
  goodToken,
  HOUR,
  header,
  type Maker,
  NOW,
  REVOKED,
  type Reply,
  type Row,
  replied,
  type Variant,
} from "./forge.ts";

/** A request as a whole, made with a good token. */
const request =
  (make: (token: string, forge: Forge) => RequestInit): Maker =>
  async (forge) => ({ init: make(await goodToken(forge), forge) });

/** As a client sends them: one header after the other. */
const headers = (make: (token: string, forge: Forge) => readonly string[]): Maker =>
  request((token, forge) => {
    const all = new Headers();
    for (const value of make(token, forge)) all.append("authorization", value);
    return { headers: all };
  });

export const J34: Row = {
  id: "J34",
  attack: "more than one Authorization header",
  reply: "invalid_request",
  variants: {
    "the same token twice": headers((token) => [`Bearer ${token}`, `Bearer ${token}`]),
    "a good token after a bad one": headers((token) => ["Bearer x", `Bearer ${token}`]),
    "a good token before a bad one": headers((token) => [`Bearer ${token}`, "Bearer x"]),
    "Basic beside it": headers((token) => ["Basic YTpi", `Bearer ${token}`]),
    "an empty one after it": headers((token) => [`Bearer ${token}`, ""]),
    "an empty one before it": headers((token) => ["", `Bearer ${token}`]),
    "three of them": headers((token) => [`Bearer ${token}`, "Bearer x", "Bearer y"]),
    "two in one": headers((token) => [`Bearer ${token}, Bearer ${token}`]),
    "two in one, without a blank": headers((token) => [`Bearer ${token},${token}`]),
    "a comma after it": headers((token) => [`Bearer ${token},`]),
    "a parameter beside it": headers((token) => [`Bearer ${token}, realm="stopgate"`]),
    "nothing but a comma": headers(() => [","]),
  },
};

const scheme = (make: (token: string) => string): Maker => headers((token) => [make(token)]);

/** A place where no token is looked for, so that none was sent. */
const placed = (make: (token: string) => Record<string, string>): Variant =>
  replied(
    "missing_token",
    request((token) => ({ headers: make(token) })),
  );

const inBody = (type: string, make: (token: string) => string): Variant =>
  replied(
    "missing_token",
    request((token) => ({ headers: { "content-type": type }, body: make(token) })),
  );

const inQuery = (name: string): Variant =>
  replied("missing_token", async (forge) => ({
    init: {},
    query: `?${name}=${await goodToken(forge)}`,
  }));

export const J35: Row = {
  id: "J35",
  attack: "a token of another scheme, or in another place",
  reply: "invalid_token",
  variants: {
    "bearer in lower case": accepted(scheme((token) => `bearer ${token}`)),
    "BEARER in upper case": accepted(scheme((token) => `BEARER ${token}`)),
    "white space around the whole": accepted(scheme((token) => `  Bearer ${token}\t`)),
    Basic: scheme((token) => `Basic ${token}`),
    "Basic, as a password": scheme((token) => `Basic ${btoa(`ann:${token}`)}`),
    DPoP: scheme((token) => `DPoP ${token}`),
    Token: scheme((token) => `Token ${token}`),
    JWT: scheme((token) => `JWT ${token}`),
    "two blanks": scheme((token) => `Bearer  ${token}`),
    "a tab": scheme((token) => `Bearer\t${token}`),
    "a blank and a tab": scheme((token) => `Bearer \t${token}`),
    "a colon": scheme((token) => `Bearer: ${token}`),
    "no blank": scheme((token) => `Bearer${token}`),
    "no scheme": scheme((token) => token),
    "no token": scheme(() => "Bearer"),
    "the scheme twice": scheme((token) => `Bearer Bearer ${token}`),
    "a name for it": scheme((token) => `Bearer token=${token}`),
    "a word after it": scheme((token) => `Bearer ${token} x`),
    "another scheme's name in front": scheme((token) => `xBearer ${token}`),
    "an empty header": placed(() => ({ authorization: "" })),
    "no header": placed(() => ({})),
    "the query": inQuery("access_token"),
    "the query, by another name": inQuery("token"),
    "the query, as the header": inQuery("authorization"),
    "a cookie": placed((token) => ({ cookie: `access_token=${token}` })),
    "Access's cookie": placed((token) => ({ cookie: `CF_Authorization=${token}` })),
    "X-Forwarded-Authorization": placed((token) => ({
      "x-forwarded-authorization": `Bearer ${token}`,
    })),
    "Proxy-Authorization": placed((token) => ({ "proxy-authorization": `Bearer ${token}` })),
    "X-Authorization": placed((token) => ({ "x-authorization": `Bearer ${token}` })),
    "X-Original-Authorization": placed((token) => ({
      "x-original-authorization": `Bearer ${token}`,
    })),
    "X-Access-Token": placed((token) => ({ "x-access-token": token })),
    "X-API-Key": placed((token) => ({ "x-api-key": token })),
    "Access's own header": placed((token) => ({ "cf-access-jwt-assertion": token })),
    "a form": inBody("application/x-www-form-urlencoded", (token) => `access_token=${token}`),
    JSON: inBody("application/json", (token) => JSON.stringify({ access_token: token })),
    "plain text": inBody("text/plain", (token) => token),
    "the reason, as far as it takes one": inBody("application/json", (token) =>
      JSON.stringify({ reason: token.slice(0, 256) }),
    ),
  },
};

const revoked = (maker: Maker): Variant => replied("revoked" satisfies Reply, maker);

export const J36: Row = {
  id: "J36",
  attack: "a token that was stolen, or has lived too long",
  reply: "invalid_token",
  variants: {
    "revoked by the tenant": revoked(claims({ jti: REVOKED })),
    "revoked, for another person": revoked(claims({ jti: REVOKED, sub: "bob" })),
    "revoked, with every scope": revoked(
      claims({ jti: REVOKED, scope: "runs:cancel runs:cancel:support audit:read" }),
    ),
    "revoked, with no scope": revoked(claims({ jti: REVOKED, scope: undefined })),
    "revoked, under another type": revoked(header({ typ: "JWT" }, { jti: REVOKED })),
    "revoked, by another issuer of the same tenant": revoked(
      claims(({ issuers }) => ({ iss: issuers.liberal, jti: REVOKED })),
    ),
    "revoked, and its time is over": claims({ jti: REVOKED, exp: NOW - 61 }),
    "revoked by another tenant only": accepted(claims({ jti: "token-of-globex" })),
    "not revoked": accepted(claims({ jti: "token-1" })),
    "not revoked, the second time": accepted(claims({ jti: "token-1" })),
    "for 25 hours": claims({ exp: NOW + 25 * HOUR }),
    "for a month": claims({ exp: NOW + 30 * 24 * HOUR }),
    "for ten years": claims({ exp: NOW + 10 * 365 * 24 * HOUR }),
    "for 40 hours, in its last one": claims({ iat: NOW - 39 * HOUR, exp: NOW + HOUR }),
    "for 24 hours and 61 seconds, in its last minute": claims({
      iat: NOW - 24 * HOUR,
      exp: NOW + 61,
    }),
    "for ever, in its last minute": claims({ iat: 0, exp: NOW + 60 }),
    "for 24 hours, in its last minute": accepted(
      claims({ iat: NOW - 24 * HOUR + 60, exp: NOW + 60 }),
    ),
    "for two hours, from an issuer of one": claims(({ issuers }) => ({
      iss: issuers.strict,
      exp: NOW + 2 * HOUR,
    })),
    "for an hour and 61 seconds, from an issuer of one": claims(({ issuers }) => ({
      iss: issuers.strict,
      exp: NOW + HOUR + 61,
    })),
    "for an hour, from an issuer of one": accepted(
      claims(({ issuers }) => ({ iss: issuers.strict, exp: NOW + HOUR })),
    ),
  },
};
