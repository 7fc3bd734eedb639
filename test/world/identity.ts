// Identity providers as they are: one table, a line for each case. Plain data, for the tests in workerd and
// those against `npm start`. A line says what the gateway answers to a read of ann's run, and what is unusual.
import {
  CROWD,
  EC,
  EC_2,
  EC_384,
  EC_521,
  ED,
  FIFTH,
  FOURTH,
  named,
  RSA,
  RSA_2,
  RSA_3,
  SMALL,
  shown,
  silent,
  UNUSABLE,
  USABLE,
} from "./identity-keys.ts";
import type { Case, Json, Members } from "./identity-stage.ts";

type Rows = Readonly<Record<string, readonly [status: number, members?: Members]>>;

const ANY: Json = { algorithms: ["RS256", "ES256", "ES384", "ES512", "EdDSA"] };
const SECONDS_TO_PUBLISH = 30;
const KEYCLOAK = ["RS256", "RS384", "RS512"].map((alg) => shown(RSA, { alg }));
const KIDLESS: Json = { algorithms: ["RS256", "ES256"], allow_missing_kid: true };
const CERTIFIED = [
  shown(RSA, { kid: undefined, x5t: "one", "x5t#S256": "ONE" }),
  shown(RSA_2, { kid: undefined, x5t: "two", "x5t#S256": "TWO" }),
];
const GUIDS = Array.from(
  { length: 200 },
  (_, at) => `6c5c2a5e-0f7b-4b8e-9d1a-${String(at).padStart(12, "0")}`,
);
const crowd = (others: number): string[] => [
  ...Array<string>(others).fill("https://api.test"),
  "stop",
];
const SUPPORT: Json = {
  scopes_claim: "roles",
  scopes_map: {
    "support-team": ["runs:cancel:support"],
    Agents: ["runs:cancel"],
    "Support Team": ["runs:cancel:support"],
  },
};
const bySam = (claims: Json, entry: Json = SUPPORT) => ({
  entry,
  run: "bob",
  claims: { sub: "sam", scope: undefined, ...claims },
});
const byRoles = (roles: unknown) => ({
  entry: { scopes_claim: "roles" },
  claims: { scope: undefined, roles },
});
const USERS: Json = { claims: { azp: ["web", "ios"] } };
const BACKENDS: Json = {
  claims: { gty: "client-credentials" },
  granted_scopes: ["runs:cancel:support"],
};
const OID: Json = { subject_claim: "oid" };
const byOid = (claims: Json, entry: Json = OID) => ({
  entry,
  claims: { sub: "pairwise", ...claims },
});
const GRANT: Json = { ownership: { source: "grant" } };
const granting = (detail: Json) => ({
  tenant: GRANT,
  claims: { authorization_details: [{ type: "run_cancel", ...detail }] },
});

/** Each unusable key beside a good one, before one, alone, and trusted by somebody who holds it. */
const UNUSABLE_KEYS: Rows = Object.fromEntries(
  Object.entries(UNUSABLE).flatMap(([name, { entry: odd, by }]) => {
    const keys = [shown(RSA), odd];
    const nameless = {
      by,
      keys,
      entry: { ...ANY, allow_missing_kid: true },
      header: { kid: undefined },
    };
    const all: readonly (readonly [string, readonly [number, Members]] | undefined)[] = [
      [`${name}, behind a good key: that one works`, [200, { entry: ANY, keys }]],
      [
        `${name}, before a good key: that one works`,
        [200, { entry: ANY, keys: [odd, shown(EC)], by: EC }],
      ],
      [`${name}, and no other: no keys`, [503, { entry: ANY, keys: [odd] }]],
      by && [`${name}: it verifies nothing`, [401, { by, entry: ANY, keys }]],
      by && [`${name}: it verifies nothing without its name`, [401, { ...nameless, by }]],
    ];
    return all.filter((each) => each !== undefined);
  }),
);

const USABLE_KEYS: Rows = Object.fromEntries(
  Object.entries(USABLE).map(([name, odd]) => [
    `${name}: it works`,
    [200, { entry: ANY, keys: [odd, shown(EC)] }],
  ]),
);

const ED_NAMES = ["EdDSA", "Ed25519"];
const TWO_NAMES: Rows = Object.fromEntries(
  ED_NAMES.flatMap((listed) =>
    [...ED_NAMES, undefined].flatMap((own) =>
      ED_NAMES.map((alg) => [
        `${listed} in the config, ${own ?? "nothing"} in the key, ${alg} in the token`,
        [
          200,
          {
            entry: { algorithms: [listed] },
            keys: [shown(ED, { alg: own })],
            by: ED,
            header: { alg },
          },
        ],
      ]),
    ),
  ),
);

const THREE_LISTED = ["RS256", "PS256", "PS512"];
const WITHOUT_ALG: Rows = Object.fromEntries(
  THREE_LISTED.map((alg) => [
    `a key without alg, ${alg} of three listed`,
    [200, { entry: { algorithms: THREE_LISTED }, keys: [silent(RSA)], header: { alg } }],
  ]),
);

const I1: Rows = {
  "a kid that is null: no kid": [
    200,
    { entry: KIDLESS, keys: [shown(RSA, { kid: null }), shown(EC)], header: { kid: undefined } },
  ],
  "a kid that is null, beside a good key": [
    200,
    { entry: ANY, keys: [shown(RSA, { kid: null }), shown(EC)], by: EC },
  ],
  "a kid that is null is no name to give": [
    401,
    { entry: ANY, keys: [shown(RSA, { kid: null }), shown(EC)], by: named(RSA, "null") },
  ],
  "a document without any usable key leaves the old ones in force": [
    200,
    { entry: ANY, later: [{ keys: [shown(SMALL), null], status: 200 }] },
  ],
};

const I2: Rows = {
  "Keycloak's key for three algorithms, by the first": [
    200,
    { entry: { algorithms: ["RS256", "RS512"] }, keys: KEYCLOAK },
  ],
  "Keycloak's key for three algorithms, by the last": [
    200,
    { entry: { algorithms: ["RS256", "RS512"] }, keys: KEYCLOAK, header: { alg: "RS512" } },
  ],
  "Keycloak's key for three algorithms, by one not listed": [
    401,
    { entry: { algorithms: ["RS256", "RS512"] }, keys: KEYCLOAK, header: { alg: "RS384" } },
  ],
  "one key twice": [200, { keys: [shown(RSA), shown(RSA)] }],
  "one kid of RSA and EC, by RSA": [
    200,
    { entry: ANY, keys: [shown(EC, { kid: "rsa" }), shown(RSA)] },
  ],
  "one kid of RSA and EC, by EC": [
    200,
    { entry: ANY, keys: [shown(RSA), shown(EC, { kid: "rsa" })], by: named(EC, "rsa") },
  ],
  "one kid for signing and for encryption": [
    200,
    { keys: [shown(RSA_2, { kid: "rsa", use: "enc" }), shown(RSA)] },
  ],
  "one kid of an old key and a new one, by the old": [
    200,
    { keys: [shown(RSA), shown(RSA_2, { kid: "rsa" })] },
  ],
  "one kid of an old key and a new one, by the new": [
    200,
    { keys: [shown(RSA), shown(RSA_2, { kid: "rsa" })], by: named(RSA_2, "rsa") },
  ],
  "one kid of two keys, by a third": [
    401,
    { keys: [shown(RSA), shown(RSA_2, { kid: "rsa" })], by: named(RSA_3, "rsa") },
  ],
  "one kid of five keys, by the fourth": [
    200,
    {
      entry: ANY,
      keys: CROWD.map((key) => shown(key, { kid: "crowd" })),
      by: named(FOURTH, "crowd"),
    },
  ],
  "five copies of one key under one kid, by a key behind them": [
    200,
    {
      entry: ANY,
      keys: [...Array(5).fill(shown(EC, { kid: "crowd" })), shown(EC_2, { kid: "crowd" })],
      by: named(EC_2, "crowd"),
    },
  ],
  "one key under five kids, by a key behind them, without a kid": [
    200,
    {
      entry: KIDLESS,
      keys: [...CROWD.map(({ kid }) => shown(EC, { kid })), shown(EC_2)],
      by: EC_2,
      header: { kid: undefined },
    },
  ],
  "one key written in four ways under one kid, by a key behind them": [
    200,
    {
      entry: ANY,
      keys: [
        shown(RSA),
        shown(RSA, { e: "AAEAAQ" }),
        shown(RSA, { n: `${RSA.published.n}==` }),
        silent(RSA),
        shown(RSA_2, { kid: "rsa" }),
      ],
      by: named(RSA_2, "rsa"),
    },
  ],
  "one kid of five keys, by the fifth": [
    401,
    {
      entry: ANY,
      keys: CROWD.map((key) => shown(key, { kid: "crowd" })),
      by: named(FIFTH, "crowd"),
    },
  ],
};

const I3: Rows = {
  "Ed25519 where EdDSA is not listed": [
    401,
    { entry: { algorithms: ["RS256"] }, keys: [shown(ED)], by: ED, header: { alg: "Ed25519" } },
  ],
  "a key without alg, by one that is not listed": [
    401,
    { entry: { algorithms: ["RS256", "PS256"] }, keys: [silent(RSA)], header: { alg: "PS384" } },
  ],
  "a key with alg, by another that is listed": [
    401,
    { entry: { algorithms: ["RS256", "PS256"] }, header: { alg: "PS256" } },
  ],
  "an EC key without alg": [
    200,
    { entry: { algorithms: ["ES384", "ES256"] }, keys: [silent(EC)], by: EC },
  ],
  ES384: [200, { entry: { algorithms: ["ES384"] }, keys: [shown(EC_384)], by: EC_384 }],
  ES512: [200, { entry: { algorithms: ["ES512"] }, keys: [shown(EC_521)], by: EC_521 }],
  "ES512 of a key without alg": [
    200,
    { entry: { algorithms: ["ES256", "ES512"] }, keys: [silent(EC_521)], by: EC_521 },
  ],
  "ES512 that is not listed": [
    401,
    { entry: { algorithms: ["ES256"] }, keys: [shown(EC_521)], by: EC_521 },
  ],
};

const I4: Rows = {
  "an empty kid": [200, { entry: KIDLESS, header: { kid: "" } }],
  "a kid that is null": [200, { entry: KIDLESS, header: { kid: null } }],
  "no kid": [200, { entry: KIDLESS, header: { kid: undefined } }],
  "an empty kid in token and key": [
    200,
    { entry: KIDLESS, keys: [shown(RSA, { kid: "" })], header: { kid: "" } },
  ],
  "an empty kid where one is wanted": [401, { header: { kid: "" } }],
  "an empty kid in token and key where one is wanted": [
    401,
    { keys: [shown(RSA, { kid: "" })], header: { kid: "" } },
  ],
  "two keys told apart by x5t, the first": [
    200,
    { entry: KIDLESS, keys: CERTIFIED, header: { kid: undefined, x5t: "one" } },
  ],
  "two keys told apart by x5t, the second": [
    200,
    { entry: KIDLESS, keys: CERTIFIED, by: RSA_2, header: { kid: undefined, x5t: "two" } },
  ],
  "two keys told apart by x5t#S256": [
    200,
    { entry: KIDLESS, keys: CERTIFIED, by: RSA_2, header: { kid: undefined, "x5t#S256": "TWO" } },
  ],
  "two keys, an empty kid and x5t": [
    200,
    { entry: KIDLESS, keys: CERTIFIED, by: RSA_2, header: { kid: "", x5t: "two" } },
  ],
  ...Object.fromEntries(
    [
      ["padding in the token", "a-b_", "a-b_=="],
      ["padding in the key", "a-b_==", "a-b_"],
      ["the other alphabet in the token", "a-b_", "a+b/"],
      ["the other alphabet in the key", "a+b/=", "a-b_"],
    ].flatMap(([name, published, sent]) =>
      ["x5t", "x5t#S256"].map((member): [string, Rows[string]] => [
        `a thumbprint (${member}) with ${name}, of the fifth key`,
        [
          200,
          {
            entry: KIDLESS,
            keys: CROWD.map((key, at) => shown(key, { [member]: at === 4 ? published : `x${at}` })),
            by: FIFTH,
            header: { kid: undefined, [member]: sent },
          },
        ],
      ]),
    ),
  ),
  "a thumbprint that fits no key: the usable ones": [
    200,
    {
      entry: KIDLESS,
      keys: CERTIFIED,
      by: RSA_2,
      header: { kid: undefined, x5t: "other" },
      later: [{ status: 200 }, { waitSeconds: SECONDS_TO_PUBLISH, status: 200 }],
      fetches: 1,
    },
  ],
  "a kid where no key has one": [
    200,
    {
      entry: KIDLESS,
      keys: [shown(RSA, { kid: undefined }), shown(EC, { kid: "" })],
      header: { kid: "unknown" },
      fetches: 1,
    },
  ],
  "a kid where no key has one, and a thumbprint": [
    200,
    { entry: KIDLESS, keys: CERTIFIED, by: RSA_2, header: { kid: "unknown", x5t: "two" } },
  ],
  "a kid where no key has one, by a key that is not published": [
    401,
    {
      entry: KIDLESS,
      keys: [shown(RSA, { kid: undefined })],
      by: RSA_2,
      header: { kid: "unknown" },
    },
  ],
  "a kid where one key has another": [
    401,
    {
      entry: KIDLESS,
      keys: [shown(RSA, { kid: undefined }), shown(EC)],
      header: { kid: "unknown" },
    },
  ],
  "a kid where no key has one, and one is wanted": [
    401,
    { keys: [shown(RSA, { kid: undefined })], header: { kid: "unknown" } },
  ],
  "the thumbprint of another key": [
    401,
    { entry: KIDLESS, keys: CERTIFIED, by: RSA_2, header: { kid: undefined, x5t: "one" } },
  ],
  "a thumbprint where a kid is wanted": [
    401,
    { keys: CERTIFIED, header: { kid: undefined, x5t: "one" } },
  ],
  "a thumbprint beside an unknown kid, where a key has a kid": [
    401,
    { entry: KIDLESS, keys: [...CERTIFIED, shown(EC)], header: { kid: "unknown", x5t: "one" } },
  ],
  "two keys and no thumbprint, by the second": [
    200,
    { entry: KIDLESS, keys: [shown(RSA), shown(RSA_2)], by: RSA_2, header: { kid: undefined } },
  ],
  "two keys of two kinds": [
    200,
    { entry: KIDLESS, keys: [shown(RSA), shown(EC)], by: EC, header: { kid: undefined } },
  ],
  "four other kinds before it": [
    200,
    {
      entry: { ...ANY, allow_missing_kid: true },
      keys: [...CROWD.slice(0, 4).map((key) => shown(key)), shown(RSA)],
      header: { kid: undefined },
    },
  ],
  "five keys of one kind, by the fourth": [
    200,
    {
      entry: KIDLESS,
      keys: CROWD.map((key) => shown(key)),
      by: FOURTH,
      header: { kid: undefined },
    },
  ],
  "five keys of one kind, by the fifth": [
    401,
    { entry: KIDLESS, keys: CROWD.map((key) => shown(key)), by: FIFTH, header: { kid: undefined } },
  ],
  "five keys of one kind, by the fifth, by its thumbprint": [
    200,
    {
      entry: KIDLESS,
      keys: CROWD.map((key, at) => shown(key, { x5t: `x${at}` })),
      by: FIFTH,
      header: { kid: undefined, x5t: "x4" },
    },
  ],
  "a key that nobody published": [
    401,
    { entry: KIDLESS, keys: [shown(EC)], by: EC_2, header: { kid: undefined } },
  ],
};

const I5: Rows = {
  "Entra ID's token of somebody in 200 groups": [200, { claims: { groups: GUIDS } }],
  "16 KB, nearly": [200, { claims: { x: "x".repeat(11_500) } }],
  "over 16 KiB": [401, { claims: { x: "x".repeat(12_400) } }],
  "18 audiences": [200, { claims: { aud: crowd(17) } }],
  "64 audiences": [200, { claims: { aud: crowd(63) } }],
  "65 audiences": [401, { claims: { aud: crowd(64) } }],
  "the 300th scope": [
    200,
    {
      claims: {
        scope: [...Array.from({ length: 300 }, (_, at) => `s${at}`), "runs:cancel"].join(" "),
      },
    },
  ],
  "the 201st group, by the map": [200, { ...bySam({ roles: [...GUIDS, "support-team"] }) }],
};

const I6: Rows = {
  "a key that is published half a minute after its first token": [
    401,
    {
      by: RSA_2,
      later: [{ waitSeconds: SECONDS_TO_PUBLISH, keys: [shown(RSA), shown(RSA_2)], status: 200 }],
      fetches: 2,
    },
  ],
  "a key that is published a minute after its first token": [
    401,
    {
      by: RSA_2,
      later: [
        { waitSeconds: SECONDS_TO_PUBLISH, status: 401 },
        { waitSeconds: SECONDS_TO_PUBLISH, keys: [shown(RSA), shown(RSA_2)], status: 200 },
      ],
      fetches: 3,
    },
  ],
  "a key without a kid that is published half a minute after its first token": [
    401,
    {
      entry: KIDLESS,
      by: RSA_2,
      header: { kid: undefined },
      later: [{ waitSeconds: SECONDS_TO_PUBLISH, keys: [shown(RSA), shown(RSA_2)], status: 200 }],
      fetches: 2,
    },
  ],
  "a key that is published under the kid of the one before it": [
    401,
    {
      by: named(RSA_2, "rsa"),
      later: [
        { status: 401 },
        {
          waitSeconds: SECONDS_TO_PUBLISH,
          keys: [shown(RSA_2, { kid: "rsa" })],
          status: 200,
        },
      ],
      fetches: 2,
    },
  ],
  "a key of another type under the kid of the one before it": [
    401,
    {
      entry: ANY,
      by: named(EC, "rsa"),
      later: [
        {
          waitSeconds: SECONDS_TO_PUBLISH,
          keys: [shown(RSA), shown(EC, { kid: "rsa" })],
          status: 200,
        },
      ],
      fetches: 2,
    },
  ],
  "Keycloak's key for one more algorithm": [
    401,
    {
      entry: { algorithms: ["RS256", "RS512"] },
      header: { alg: "RS512" },
      later: [{ waitSeconds: SECONDS_TO_PUBLISH, keys: KEYCLOAK, status: 200 }],
      fetches: 2,
    },
  ],
  "a key that is published under another's thumbprint": [
    401,
    {
      entry: KIDLESS,
      keys: CERTIFIED,
      by: RSA_3,
      header: { kid: undefined, x5t: "one" },
      later: [
        {
          waitSeconds: SECONDS_TO_PUBLISH,
          keys: [shown(RSA_3, { kid: undefined, x5t: "one" })],
          status: 200,
        },
      ],
      fetches: 2,
    },
  ],
  "a signature that no key of that kid ever made": [
    401,
    {
      by: named(RSA_2, "rsa"),
      later: [{ status: 401 }, { waitSeconds: SECONDS_TO_PUBLISH, status: 401 }, { status: 401 }],
      fetches: 2,
    },
  ],
  "a key that is never published": [
    401,
    {
      by: RSA_2,
      later: [
        { status: 401 },
        { status: 401 },
        { waitSeconds: SECONDS_TO_PUBLISH, status: 401 },
        { status: 401 },
      ],
      fetches: 2,
    },
  ],
};

const I7: Rows = {
  "a key endpoint that wants a User-Agent": [200, { endpoint: { wantsUserAgent: true } }],
  "a Kubernetes API server, which gives a key set alone": [
    200,
    { endpoint: { wantsAccept: "application/jwk-set+json" } },
  ],
  "a server that gives JSON alone": [200, { endpoint: { wantsAccept: "application/json" } }],
  "a query in the address": [
    200,
    { endpoint: { query: "?appid=6731de76-14a6-49ae-97bc-6eba6914391e" } },
  ],
  "a query of two members in the address": [
    200,
    { endpoint: { query: "?p=b2c_1_signin&format=jwks" } },
  ],
  "three seconds": [200, { endpoint: { delayMs: 3_000 } }],
  "eight seconds": [503, { endpoint: { delayMs: 8_000 } }],
  "all of these": [200, { endpoint: { query: "?appid=1", wantsUserAgent: true, delayMs: 3_000 } }],
};

const I8: Rows = {
  "Zitadel's roles": [
    200,
    {
      entry: { scopes_claim: "urn:zitadel:iam:org:project:roles" },
      claims: {
        scope: undefined,
        "urn:zitadel:iam:org:project:roles": { "runs:cancel": { "219": "acme.zitadel.cloud" } },
      },
    },
  ],
  "Zitadel's roles, others": [
    403,
    {
      entry: { scopes_claim: "urn:zitadel:iam:org:project:roles" },
      claims: {
        scope: undefined,
        "urn:zitadel:iam:org:project:roles": { reader: { "219": "runs:cancel" } },
      },
    },
  ],
  "a role that is there to say no": [
    403,
    {
      entry: { scopes_claim: "roles" },
      claims: { scope: undefined, roles: { "runs:cancel": false } },
    },
  ],
  "Clerk's list with commas": [200, { claims: { scope: "manage,runs:cancel" } }],
  "commas and blanks": [200, { claims: { scope: "manage, runs:cancel , read" } }],
  "nothing but commas": [403, { claims: { scope: ",,," } }],
  "a scope with a comma in it, beside others": [
    403,
    { claims: { scope: "openid docs.a,runs:cancel" } },
  ],
  "a scope with a comma in it, before others": [
    403,
    { claims: { scope: "docs.a,runs:cancel openid" } },
  ],
  "a scope with a comma in it, in a list": [403, { claims: { scope: ["docs.a,runs:cancel"] } }],
  "commas with a blank behind each": [200, { claims: { scope: "manage, runs:cancel, read" } }],
  "commas, and a blank at the end": [200, { claims: { scope: "manage,runs:cancel " } }],
  "tabs between scopes": [200, { claims: { scope: "manage\truns:cancel\tread" } }],
  "lines of scopes": [200, { claims: { scope: "manage\r\nruns:cancel\nread\n" } }],
  "a no-break space between scopes": [403, { claims: { scope: "manage\u00a0runs:cancel" } }],
  "semicolons between scopes": [403, { claims: { scope: "manage;runs:cancel" } }],
  "a list of scopes as JSON in a text": [403, { claims: { scope: '["runs:cancel"]' } }],
  "a list of objects that have a name": [403, { ...byRoles([{ name: "runs:cancel", id: "219" }]) }],
  "Zitadel's roles, a list of objects": [
    200,
    { ...byRoles([{ reader: { id1: "acme" } }, { "runs:cancel": { id1: "acme.zitadel.cloud" } }]) },
  ],
  "a list of names and objects": [200, { ...byRoles(["reader", { "runs:cancel": true }]) }],
  "a list in a list": [403, { ...byRoles([["runs:cancel"]]) }],
  "a list of objects, a role of which is mapped": [
    200,
    { ...bySam({ roles: [{ "support-team": { "219": "acme" } }] }) },
  ],
  ...Object.fromEntries(
    [
      {},
      [],
      "false",
      "False ",
      "no",
      "0",
      "",
      0,
      null,
      [null],
      { id1: false },
      { id1: {} },
    ].flatMap((given): [string, Rows[string]][] => [
      [
        `a role that says ${JSON.stringify(given)}`,
        [403, { ...byRoles({ "runs:cancel": given }) }],
      ],
      [
        `a role that says ${JSON.stringify(given)}, in a list`,
        [403, { ...byRoles([{ "runs:cancel": given }]) }],
      ],
    ]),
  ),
  "a list": [200, { claims: { scope: ["manage", "runs:cancel"] } }],
  "a role that is mapped, in a list": [200, { ...bySam({ roles: ["other", "support-team"] }) }],
  "a role that is mapped, as a text": [200, { ...bySam({ roles: "support-team" }) }],
  "roles that are mapped, in a text with commas": [
    200,
    { ...bySam({ roles: "Agents,support-team" }) },
  ],
  "roles that are mapped, in a text with commas and blanks": [
    200,
    { ...bySam({ roles: "Agents, Support Team" }) },
  ],
  "a role that is mapped, in a text with one that is not": [
    403,
    { ...bySam({ roles: "other,support-team" }) },
  ],
  "a group whose last word is a mapped one": [403, { ...bySam({ roles: "Former support-team" }) }],
  "a group whose first word is a mapped one": [403, { ...bySam({ roles: "support-team EMEA" }) }],
  "a group with a mapped one behind its comma": [
    403,
    { ...bySam({ roles: "Not in, support-team" }) },
  ],
  "a group with a blank in its name, in a list, whose last word is a mapped one": [
    403,
    { ...bySam({ roles: ["Former support-team"] }) },
  ],
  "a role that is mapped, as a name": [
    200,
    { ...bySam({ roles: { "support-team": { "219": "acme" } } }) },
  ],
  "a group with a blank in its name, in a list": [200, { ...bySam({ roles: ["Support Team"] }) }],
  "a group with a blank in its name, alone": [200, { ...bySam({ roles: "Support Team" }) }],
  "a role that is mapped to less": [404, { ...bySam({ roles: ["Agents"] }) }],
  "a role that is not mapped": [403, { ...bySam({ roles: ["support"] }) }],
  "a role in other letters": [403, { ...bySam({ roles: ["Support-Team"] }) }],
  "a group that is called like a scope": [403, { ...bySam({ roles: ["runs:cancel:support"] }) }],
  "a group that is called like a member of every object": [
    403,
    { ...bySam({ roles: ["constructor", "__proto__", "toString"] }) },
  ],
  "a mapped role in another claim": [403, { ...bySam({ groups: ["support-team"] }) }],
  "roles further down, by the map": [
    200,
    {
      ...bySam(
        { realm_access: { roles: ["support-team"] } },
        { ...SUPPORT, scopes_claim: ["realm_access", "roles"] },
      ),
    },
  ],
  "a map and what every token has": [
    200,
    { ...bySam({ roles: [] }, { ...SUPPORT, granted_scopes: ["runs:cancel:support"] }) },
  ],
};

const I9: Rows = {
  "users and backends, a user": [
    200,
    { entry: [BACKENDS, USERS], claims: { azp: "web" }, fetches: 1 },
  ],
  "users and backends, a user at another's run": [
    404,
    { entry: [BACKENDS, USERS], claims: { azp: "web" }, run: "bob" },
  ],
  "users and backends, a backend": [
    200,
    {
      entry: [BACKENDS, USERS],
      claims: { gty: "client-credentials", sub: "backend" },
      run: "bob",
      fetches: 1,
    },
  ],
  "users and backends, neither": [401, { entry: [BACKENDS, USERS], claims: { azp: "other" } }],
  "a token for both is the first one's": [
    404,
    { entry: [USERS, BACKENDS], claims: { azp: "web", gty: "client-credentials" }, run: "bob" },
  ],
  "users with org_id and backends without, a backend": [
    200,
    {
      entry: [{ claims: { org_id: null }, granted_scopes: ["runs:cancel:support"] }, {}],
      run: "bob",
      claims: { sub: "backend" },
    },
  ],
  "users with org_id and backends without, a user": [
    404,
    {
      entry: [{ claims: { org_id: null }, granted_scopes: ["runs:cancel:support"] }, {}],
      run: "bob",
      claims: { org_id: "org_1" },
    },
  ],
  "two audiences, the first": [
    200,
    { entry: [{ audiences: ["web"] }, { audiences: ["ios"] }], claims: { aud: "web" } },
  ],
  "two audiences, the second": [
    200,
    { entry: [{ audiences: ["web"] }, { audiences: ["ios"] }], claims: { aud: ["ios", "x"] } },
  ],
  "two audiences, neither": [
    401,
    { entry: [{ audiences: ["web"] }, { audiences: ["ios"] }], claims: { aud: "stop" } },
  ],
  "two places of the audience": [
    200,
    {
      entry: [{ audience_claim: "client_id", audiences: ["web"] }, {}],
      claims: { aud: undefined, client_id: "web" },
    },
  ],
  "another entry's algorithm": [
    401,
    {
      entry: [{ ...USERS, algorithms: ["ES256"] }, { algorithms: ["RS256"] }],
      claims: { azp: "web" },
    },
  ],
  "another entry's type": [
    401,
    {
      entry: [{ ...USERS, types: ["at+jwt"] }, { types: ["JWT"] }],
      header: { typ: "JWT" },
      claims: { azp: "web" },
    },
  ],
  "its own algorithm, which is not another's": [
    200,
    {
      entry: [{ ...USERS, algorithms: ["ES256"] }, { algorithms: ["RS256"] }],
      claims: { azp: "other" },
    },
  ],
  "another entry's leave to come without a kid": [
    401,
    {
      entry: [USERS, { allow_missing_kid: true }],
      header: { kid: undefined },
      claims: { azp: "web" },
    },
  ],
  "another entry's keys": [
    401,
    {
      entry: [{ ...USERS, jwks_uri: undefined, jwks: { keys: [shown(RSA_2)] } }, {}],
      claims: { azp: "web" },
    },
  ],
  "its own keys": [
    200,
    {
      entry: [{ ...USERS, jwks_uri: undefined, jwks: { keys: [shown(RSA_2)] } }, {}],
      by: RSA_2,
      claims: { azp: "web" },
    },
  ],
  "another entry's scopes": [
    403,
    { entry: [{ ...USERS, scopes_claim: "roles" }, {}], claims: { azp: "web" } },
  ],
  "a value of a list": [
    200,
    { entry: { claims: { azp: ["web", "ios"] } }, claims: { azp: "ios" } },
  ],
  "a value that is not of the list": [
    401,
    { entry: { claims: { azp: ["web", "ios"] } }, claims: { azp: "android" } },
  ],
  "no value where the list has none": [401, { entry: { claims: { azp: ["web", "ios"] } } }],
  "no value where the list has null": [200, { entry: { claims: { azp: ["web", null] } } }],
  "a list in the token where one value is wanted": [
    401,
    { entry: { claims: { azp: ["web", "ios"] } }, claims: { azp: ["web"] } },
  ],
};

const I10: Rows = {
  "Entra ID's oid": [200, { ...byOid({ oid: "ann" }) }],
  "the person of sub is another": [404, { ...byOid({ oid: "bob", sub: "ann" }) }],
  "an id further down": [
    200,
    { ...byOid({ ext: { person: "ann" } }, { subject_claim: ["ext", "person"] }) },
  ],
  "an id in a claim with an address for a name": [
    200,
    { ...byOid({ "https://acme.test/id": "ann" }, { subject_claim: "https://acme.test/id" }) },
  ],
  "no sub at all": [200, { ...byOid({ oid: "ann", sub: undefined }) }],
  "a sub that is no name": [200, { ...byOid({ oid: "ann", sub: "" }) }],
  "no id": [401, { ...byOid({ sub: "ann" }) }],
  "an empty id": [401, { ...byOid({ oid: "" }) }],
  "an id that is a number": [401, { ...byOid({ oid: 7 }) }],
  "an id that is a list": [401, { ...byOid({ oid: ["ann"] }) }],
  "an id with a control in it": [401, { ...byOid({ oid: "ann\u0000" }) }],
  "an id of 256 characters": [401, { ...byOid({ oid: "a".repeat(256) }) }],
  "an id that only the prototype has": [401, { ...byOid({}, { subject_claim: "constructor" }) }],
  "no sub where it is wanted": [401, { claims: { sub: undefined } }],
};

const D14: Rows = {
  "a grant of the run": [200, { ...granting({ thread_id: "thread_1", run_id: "run_ann" }) }],
  "a grant of the whole thread": [200, { ...granting({ thread_id: "thread_1" }) }],
  "a grant with an empty thread": [404, { ...granting({ thread_id: "", run_id: "run_ann" }) }],
  "a grant with an empty run": [404, { ...granting({ thread_id: "thread_1", run_id: "" }) }],
  "a grant of an empty thread": [404, { ...granting({ thread_id: "" }) }],
  "a grant of nothing": [404, { ...granting({}) }],
};

const BY_ROW: readonly (readonly [row: string, rows: Rows])[] = [
  ["I1", { ...UNUSABLE_KEYS, ...USABLE_KEYS, ...I1 }],
  ["I2", I2],
  ["I3", { ...TWO_NAMES, ...WITHOUT_ALG, ...I3 }],
  ["I4", I4],
  ["I5", I5],
  ["I6", I6],
  ["I7", I7],
  ["I8", I8],
  ["I9", I9],
  ["I10", I10],
  ["D14", D14],
];

export const CASES: readonly Case[] = BY_ROW.flatMap(([row, rows]) =>
  Object.entries(rows).map(([name, [status, members]]) => ({ row, name, status, ...members })),
);
