// J18-J24 and J29: claims that are missing, malformed, out of time or not meant for this gateway.
import { AUDIENCE, type Json } from "../../support/harness.ts";
import {
  accepted,
  claims,
  each,
  HOUR,
  header,
  type Maker,
  NOW,
  payload,
  type Reply,
  type Row,
  replied,
  type Variant,
} from "./forge.ts";

/** The claims as they are written, one of them in other words, or left out and others put in. */
const written = (name: string, members: string): Maker =>
  payload((usual) => {
    const { [name]: _, ...others } = JSON.parse(`{${usual}}`) as Json;
    return `${JSON.stringify(others).slice(0, -1)}${members === "" ? "" : `,${members}`}}`;
  });

/** Without a claim of its own, which the prototype is to lend. */
const lent = (name: string, value: unknown): Record<string, Maker> =>
  Object.fromEntries(
    ["__proto__", "constructor", "prototype"].map((lender) => [
      `${name}, by ${lender}`,
      written(name, `"${lender}":${JSON.stringify({ [name]: value })}`),
    ]),
  );

const all = (reply: Reply, makers: Record<string, Maker>): Record<string, Variant> =>
  Object.fromEntries(Object.entries(makers).map(([name, maker]) => [name, replied(reply, maker)]));

export const J18: Row = {
  id: "J18",
  attack: "a claim that is lent by the prototype",
  reply: "invalid_token",
  variants: {
    ...lent("exp", NOW + 600),
    ...lent("sub", "ann"),
    ...lent("aud", AUDIENCE),
    "iss, by __proto__": payload((members, { issuers }) => {
      const { iss: _, ...others } = JSON.parse(`{${members}}`) as Json;
      const lender = JSON.stringify({ iss: issuers.usual });
      return `${JSON.stringify(others).slice(0, -1)},"__proto__":${lender}}`;
    }),
    ...all("tenant_not_allowed", lent("org_id", "acme")),
    ...all("insufficient_scope", lent("scope", "runs:cancel")),
    "a tenant by the name of a prototype's member": replied(
      "tenant_not_allowed",
      claims({ org_id: "constructor" }),
    ),
    "a tenant by the name of the prototype": replied(
      "tenant_not_allowed",
      claims({ org_id: "__proto__" }),
    ),
    "an issuer by the name of the prototype": claims({ iss: "__proto__" }),
    "a good token that has both": accepted(
      payload((members) => `{${members},"__proto__":{"sub":"bob"},"constructor":{"exp":0}}`),
    ),
  },
};

export const J19: Row = {
  id: "J19",
  attack: "a token without an end",
  reply: "invalid_token",
  variants: {
    "exp left out": claims({ exp: undefined }),
    "exp and every other date left out": claims({ exp: undefined, iat: undefined }),
    "exp left out, nbf there": claims({ exp: undefined, nbf: NOW }),
    "exp in capitals": claims({ exp: undefined, EXP: NOW + 600 }),
    "exp with a blank": claims({ exp: undefined, "exp ": NOW + 600 }),
    "exp with NUL": claims({ exp: undefined, "exp\0": NOW + 600 }),
    "exp one level down": claims({ exp: undefined, claims: { exp: NOW + 600 } }),
    "expires_in in its place": claims({ exp: undefined, expires_in: 600 }),
    "exp in the header": header({ exp: NOW + 600 }, { exp: undefined }),
  },
};

const NO_INSTANTS: readonly unknown[] = [
  ...[String(NOW + 600), "", "never", "0x7fffffff", "2099-01-01T00:00:00Z"],
  ...[null, true, false, [], [NOW + 600], {}, { value: NOW + 600 }],
];

export const J20: Row = {
  id: "J20",
  attack: "an end that is no number",
  reply: "invalid_token",
  variants: each(
    NO_INSTANTS,
    (exp) => JSON.stringify(exp),
    (exp) => claims({ exp }),
  ),
};

const NEVER = ["1e400", "1e308", "9e15", "9007199254740993", "1e999999", "1E+400"];
const LONG_AGO = ["0", "-0", "-1", "-9e15", "-1e400", "1.5", "5e-324", `${NOW - 61}.5`];

export const J21: Row = {
  id: "J21",
  attack: "an end that never comes, or that no clock can tell",
  reply: "invalid_token",
  variants: {
    ...each([...NEVER, ...LONG_AGO], String, (exp) => written("exp", `"exp":${exp}`)),
    "in milliseconds": claims({ exp: (NOW + 600) * 1_000 }),
    "a day and 61 seconds from now": claims({ exp: NOW + 24 * HOUR + 61 }),
    "a fraction over a day and a minute": claims({ exp: NOW + 24 * HOUR + 60.5 }),
    "a day from now": accepted(claims({ exp: NOW + 24 * HOUR })),
    "a fraction of a second": accepted(claims({ exp: NOW + 600.5 })),
  },
};

export const J22: Row = {
  id: "J22",
  attack: "a beginning that is to come, or that no clock can tell",
  reply: "invalid_token",
  variants: {
    ...Object.fromEntries(
      ["iat", "nbf"].flatMap((name) => [
        ...["1e400", "-1e400", "9e15", `${NOW + 61}`, `${NOW + 60}.5`].map((value) => [
          `${name} ${value}`,
          written(name, `"${name}":${value}`),
        ]),
        ...[String(NOW), "", null, true, [NOW], {}, NOW * 1_000].map((value) => [
          `${name} ${JSON.stringify(value)}`,
          claims({ [name]: value }),
        ]),
      ]),
    ),
    "iat an hour ago": accepted(claims({ iat: NOW - HOUR })),
    "nbf before the epoch": accepted(claims({ nbf: -1 })),
  },
};

/** Every way to be a second within the minute that clocks may differ by, or a second beyond it. */
const SKEWS = [-59, -61].flatMap((exp) =>
  [59, 61].flatMap((nbf) => [59, 61].map((iat) => ({ exp, nbf, iat }))),
);

export const J23: Row = {
  id: "J23",
  attack: "a clock that is wrong by more than a minute",
  reply: "invalid_token",
  variants: {
    ...each(
      SKEWS,
      ({ exp, nbf, iat }) => `exp ${exp} s, nbf +${nbf} s, iat +${iat} s`,
      ({ exp, nbf, iat }) => ({
        maker: claims({ exp: NOW + exp, nbf: NOW + nbf, iat: NOW + iat }),
        reply: exp === -59 && nbf === 59 && iat === 59 ? "accepted" : "invalid_token",
      }),
    ),
    "exp -61 s": claims({ exp: NOW - 61 }),
    "exp -59 s": accepted(claims({ exp: NOW - 59 })),
    "nbf +61 s": claims({ nbf: NOW + 61 }),
    "nbf +59 s": accepted(claims({ nbf: NOW + 59 })),
    "iat +61 s": claims({ iat: NOW + 61 }),
    "iat +59 s": accepted(claims({ iat: NOW + 59 })),
  },
};

const AUDIENCES: readonly unknown[] = [
  ...["", "*", "https://api.test", `${AUDIENCE}/`, `${AUDIENCE}.evil.test`, ` ${AUDIENCE}`],
  ...[AUDIENCE.toUpperCase(), AUDIENCE.slice(0, -1), `${AUDIENCE},https://api.test`],
  ...[
    [],
    [""],
    ["https://api.test"],
    [[AUDIENCE]],
    [AUDIENCE, 7],
    [AUDIENCE, null],
    [[[AUDIENCE]]],
  ],
  ...[null, 7, true, {}, { 0: AUDIENCE }, { aud: AUDIENCE }, [{ aud: AUDIENCE }]],
];

export const J24: Row = {
  id: "J24",
  attack: "a token for another audience",
  reply: "invalid_token",
  variants: {
    "left out": claims({ aud: undefined }),
    ...each(
      AUDIENCES,
      (aud) => JSON.stringify(aud),
      (aud) => claims({ aud }),
    ),
    "sixty-five, of which ours is the first": claims({ aud: crowd(64) }),
    "a thousand": claims({ aud: crowd(1_000) }),
    "sixty-four, of which ours is the first": accepted(claims({ aud: crowd(63) })),
    "ours in a list": accepted(claims({ aud: ["https://api.test", AUDIENCE] })),
  },
};

function crowd(others: number): string[] {
  return [AUDIENCE, ...Array<string>(others).fill("x")];
}

const NO_NAMES: Readonly<Record<string, unknown>> = {
  "a number": 7,
  "an object": { name: "ann" },
  "a list": ["ann"],
  null: null,
  true: true,
  empty: "",
  "256 characters": "a".repeat(256),
  "300 characters": "a".repeat(300),
  "with NUL": "ann\0",
  "with NUL in the middle": "ann\0admin",
  "with a line's end": "ann\n",
  "with a carriage return": "ann\r\nx-admin: 1",
  "with an escape": "\u001b[31mann",
  "with DEL": "ann\u007f",
  "with a control of the C1 set": "ann\u0085",
  "with another control of the C1 set": "\u009b31mann",
  "with an override of direction": "\u202enna",
  "with an isolate of direction": "ann\u2066\u2069",
  "with a mark of direction": "ann\u200f",
};

export const J29: Row = {
  id: "J29",
  attack: "a subject that is no name",
  reply: "invalid_token",
  variants: {
    "left out": claims({ sub: undefined }),
    ...each(
      Object.entries(NO_NAMES),
      ([name]) => name,
      ([, sub]) => claims({ sub }),
    ),
    "half a character": written("sub", '"sub":"ann\\ud800"'),
    "the other half of a character": written("sub", '"sub":"\\udc00ann"'),
    "halves in the wrong order": written("sub", '"sub":"\\udc00\\ud800"'),
    "255 characters, whose runs are others": replied(
      "run_not_found",
      claims({ sub: "a".repeat(255) }),
    ),
  },
};
