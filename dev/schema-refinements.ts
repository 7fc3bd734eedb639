// What zod checks with code and JSON Schema can say as well, by the path of the member. What needs the
// whole document (names that lead nowhere, shared keys) is left to `gateway lint`.

type Json = Readonly<Record<string, unknown>>;

/** As people write addresses; the gateway takes some odder spellings too, which an editor may mark. */
const ADDRESS = {
  pattern: "^(https://[!-~]|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(:\\d+)?(/|$))[^?\\s]*$",
};
/** As above, and it may have a query. */
const KEY_ADDRESS = { pattern: ADDRESS.pattern.replace("[^?\\s]", "[^#\\s]") };
/** Of any scheme and exact, a file's, or with a star inside the first label. */
const ORIGIN =
  "^(file://|[a-z][a-z0-9+.-]*://[^*/?#\\s]+|https://([a-z0-9-]+\\*[a-z0-9-]*|\\*[a-z0-9-]+)\\.[^*/?#\\s]+)$";
const DENIES = { properties: { effect: { const: "deny" } }, required: ["effect"] };
/** Bindings and secrets of the gateway's own, as `OWN_NAMES` of the schema has them. */
const OWN_NAMES = [
  ...["AUDIT_SIGNING_KEY", "AUDIT_SUBJECT_KEY", "ALLOW_LOOPBACK_HTTP", "LOCAL_ISSUER_KEY"],
  ...["KEY_ENCRYPTION_KEY", "KEY_ENCRYPTION_KEY_PREVIOUS", "CONFIG", "AUDIT", "LEDGER"],
  ...["ADDRESS_RATE", "RATE_.*"],
];

export const SCHEMA_REFINEMENTS: Readonly<Record<string, Json>> = {
  // Neither is fine in an editor: `lint --online` puts the address in.
  "issuers.[]": { not: { required: ["jwks_uri", "jwks"] } },
  "issuers.[].jwks_uri": KEY_ADDRESS,
  "issuers.[].scopes_map": { minProperties: 1 },
  "upstreams.*.base_url": ADDRESS,
  "credential.client_credentials.token_url": ADDRESS,
  "credential.secret": { not: { pattern: `^(${OWN_NAMES.join("|")})$` } },
  "tenants.*": {
    if: {
      properties: {
        ownership: { properties: { source: { const: "credential" } }, required: ["source"] },
      },
      required: ["ownership"],
    },
    // biome-ignore lint/suspicious/noThenProperty: it is JSON Schema's word.
    then: { properties: { rules: { items: { properties: { runs: { const: "tenant" } } } } } },
  },
  "tenants.*.origins.[]": { pattern: ORIGIN },
  "tenants.*.rules": { contains: { not: DENIES } },
  "tenants.*.rules.[]": {
    if: DENIES,
    // biome-ignore lint/suspicious/noThenProperty: it is JSON Schema's word.
    then: { properties: { reason_required: { const: false } } },
    else: { properties: { scopes: { minItems: 1 } } },
  },
};
