// J25, J26 and J30: other issuers, other tenants, and names that look like the true ones.
import { AUDIENCE } from "../../support/harness.ts";
import { compactToken } from "../../support/tokens.ts";
import {
  accepted,
  claims,
  claimsOf,
  each,
  type Forge,
  header,
  type Maker,
  type Row,
  replied,
} from "./forge.ts";

const respelledIssuer = (respell: (iss: string) => unknown): Maker =>
  claims(({ issuers }) => ({ iss: respell(issuers.usual) }));

/** Signed by one provider, in the name of another. */
const signedAs =
  (key: "key" | "other" | "stranger", issuer: keyof Forge["issuers"], over = {}): Maker =>
  async (forge) => {
    const signer = { ...forge[key], kid: forge.key.kid };
    return await compactToken(signer, claimsOf(forge, { iss: forge.issuers[issuer], ...over }));
  };

export const J25: Row = {
  id: "J25",
  attack: "an issuer that is not the one whose key fits",
  reply: "invalid_token",
  variants: {
    "left out": claims({ iss: undefined }),
    null: claims({ iss: null }),
    "a number": claims({ iss: 7 }),
    empty: claims({ iss: "" }),
    "in a list": respelledIssuer((iss) => [iss]),
    "in an object": respelledIssuer((iss) => ({ iss })),
    "with a slash more": respelledIssuer((iss) => `${iss}/`),
    "with a slash less": respelledIssuer((iss) => iss.replace("//", "/")),
    "in upper case": respelledIssuer((iss) => iss.toUpperCase()),
    "with its host in upper case": respelledIssuer((iss) => iss.replace("acme", "ACME")),
    "with its scheme in upper case": respelledIssuer((iss) => iss.replace("https", "HTTPS")),
    "with its port": respelledIssuer((iss) => iss.replace(".test/", ".test:443/")),
    "with a dot after its host": respelledIssuer((iss) => iss.replace(".test/", ".test./")),
    "without its scheme": respelledIssuer((iss) => iss.replace("https://", "")),
    "over http": respelledIssuer((iss) => iss.replace("https", "http")),
    "escaped in part": respelledIssuer((iss) => iss.replace("acme", "%61cme")),
    "with a blank": respelledIssuer((iss) => `${iss} `),
    "with NUL": respelledIssuer((iss) => `${iss}\0`),
    "with a query": respelledIssuer((iss) => `${iss}?`),
    "with another host before it": respelledIssuer((iss) => `https://evil.test/${iss}`),
    "nobody's": claims({ iss: "https://evil.test/" }),
    "nobody's, signed by an attacker": signedAs("stranger", "usual", { iss: "https://evil.test/" }),
    "another that is configured, whose kid is the same": signedAs("key", "other"),
    "ours, in a token of another's that has the same kid": signedAs("other", "usual"),
    "ours, in an attacker's token under our kid": signedAs("stranger", "usual"),
    "in the header only": header(({ issuers }) => ({ iss: issuers.usual }), { iss: undefined }),
  },
};

const OTHERS_TENANTS: readonly unknown[] = [
  ...[
    "globex",
    "initech",
    "*",
    "acme*",
    "acme,globex",
    "acme globex",
    "../globex",
    "c1:tenant:acme",
  ],
  ...["", null, 7, true, ["acme"], ["globex"], { acme: true }],
];

/** To the other provider, which knows acme by no name and globex by one of its own. */
const byOther = (over: object): Maker => signedAs("other", "other", over);

export const J26: Row = {
  id: "J26",
  attack: "a tenant that is another issuer's to name",
  reply: "tenant_not_allowed",
  variants: {
    ...each(
      OTHERS_TENANTS,
      (tenant) => JSON.stringify(tenant),
      (org_id) => claims({ org_id }),
    ),
    "left out": claims({ org_id: undefined }),
    "in a claim of another name": claims({ org_id: undefined, tenant: "acme", tid: "acme" }),
    "as the other issuer names its own": claims({ org_id: undefined, org: { id: "org_1" } }),
    "acme, by the other issuer": byOther({ org: { id: "acme" } }),
    "globex as it is called here, by the other issuer": byOther({ org: { id: "globex" } }),
    "acme in our claim, by the other issuer": byOther({ org_id: "acme" }),
    "a prototype's member, by the other issuer": byOther({ org: { id: "constructor" } }),
    "the prototype, by the other issuer": byOther({ org: { id: "__proto__" } }),
    "a list in which the way goes on, by the other issuer": byOther({ org: [{ id: "org_1" }] }),
    // Its own tenant, which has no such run: the other's people do not reach ours.
    "its own, by the other issuer": replied("run_not_found", byOther({ org: { id: "org_1" } })),
    "our own": accepted(claims({ org_id: "acme" })),
  },
};

const NO_ACMES = [
  ...[
    "ACME",
    "Acme",
    "acme ",
    " acme",
    "acme\0",
    "acme\n",
    "acme.",
    "acme2",
    "acm",
    "acmé",
    "acme\u0301",
  ],
  ...["ａｃｍｅ", "аcme", "αcme", "acm℮", "ac\u00adme", "ac\u200bme", "\ufeffacme", "ⓐⓒⓜⓔ"],
  ...["ann@acme", "a@globex@acme", "acme@evil.test", "evil.test/acme", "acme%00", "%61cme", "ᴀcme"],
];

const NO_ANNS = [
  ...["Ann", "ANN", "ａnn", "аnn", "a\u0144n", "an\u0303n", "ann ", " ann", "ann.", "an\u200bn"],
  ...["ann@acme", "ann@acme@globex", "ann|ann", "an\u00adn", "@ann", "*"],
];

export const J30: Row = {
  id: "J30",
  attack: "a name that looks like another",
  reply: "tenant_not_allowed",
  variants: {
    ...each(
      NO_ACMES,
      (tenant) => `the tenant ${JSON.stringify(tenant)}`,
      (org_id) => claims({ org_id }),
    ),
    ...each(
      NO_ANNS,
      (sub) => `the subject ${JSON.stringify(sub)}`,
      (sub) => replied("run_not_found", claims({ sub })),
    ),
    ...each(
      ["İd", "ıd", "ID", "ｉd", "іd"],
      (id) => `the issuer's host with ${id} for id`,
      (id) =>
        replied(
          "invalid_token",
          respelledIssuer((iss) => iss.replace("id", id)),
        ),
    ),
    ...each(
      ["https://ѕtop.test", "https://ｓtop.test", "https://STOP.test", "https://stop。test"],
      (aud) => `the audience ${aud} for ${AUDIENCE}`,
      (aud) => replied("invalid_token", claims({ aud })),
    ),
    ...each(
      [
        "RUNS:CANCEL",
        "runs:cаncel",
        "runs：cancel",
        "runs:cancel\u00a0",
        "runs:cancel\0",
        "runs:*",
      ],
      (scope) => `the scope ${JSON.stringify(scope)}`,
      (scope) => replied("insufficient_scope", claims({ scope })),
    ),
    "the claim's name in full-width letters": claims({ org_id: undefined, ｏrg_id: "acme" }),
  },
};
