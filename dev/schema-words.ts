// What editors show of each member of a config: the words of the JSON Schema. Kept out of the Worker.
// A path names members; `*` stands for any name, `[]` for each entry of a list.

export const SCHEMA_WORDS: Readonly<Record<string, string>> = {
  $schema: "Where editors find this schema.",
  issuers: "Whose tokens count, and for which tenants.",
  "issuers.[].issuer":
    "Compared with the token's `iss`, to the letter. Of several entries with the same one, the first whose audiences and claims fit a token counts.",
  "issuers.[].jwks_uri":
    "Where the issuer's public keys are. `npm run gateway -- lint FILE --online` finds it.",
  "issuers.[].jwks": "The issuer's public keys themselves, in place of an address.",
  "issuers.[].jwks.keys": "JSON Web Keys (RFC 7517), public ones only.",
  "issuers.[].audiences": "A token must be for one of these (`aud`).",
  "issuers.[].audience_claim": "Where the audience stands, when not in `aud`.",
  "issuers.[].algorithms": "What tokens may be signed with. Asymmetric only.",
  "issuers.[].types": "What the header's `typ` may be. A token without one counts as `JWT`.",
  "issuers.[].claims":
    "Claims that a token must have with just this value; null: it must not have it; of a list, any will do.",
  "issuers.[].claims.*": "The value that the claim must have, or a list of those that will do.",
  "issuers.[].tenant":
    "Which tenant a token speaks for: a fixed one, or what a claim says, of a list or by a map.",
  "issuers.[].tenant.claim": "The claim that names the tenant, or the names that lead to it.",
  "issuers.[].tenant.allow": "The tenants that the claim may name.",
  "issuers.[].tenant.map": "The provider's own ids of organisations, and the tenants they mean.",
  "issuers.[].tenant.map.*": "The tenant that this id means.",
  "issuers.[].tenant.fixed": "Every token of this issuer speaks for this tenant.",
  "issuers.[].subject_claim":
    "The claim that names the person: what runs are owned by. It must stay one person's.",
  "issuers.[].scopes_claim":
    "The claim that holds the scopes: a text with spaces or commas, a list, or an object by its names.",
  "issuers.[].scopes_map":
    "Roles or groups of `scopes_claim`, and the scopes that each stands for. What is not here gives none.",
  "issuers.[].scopes_map.*": "The scopes that it stands for.",
  "issuers.[].granted_scopes": "Scopes that every token of this issuer has.",
  "issuers.[].max_lifetime_hours": "A token that lives longer is refused.",
  "issuers.[].max_stale_minutes":
    "How long keys outlive a key endpoint that gives no new ones; 0: not at all.",
  "issuers.[].allow_missing_kid":
    "Take tokens without a key id: by the certificate's thumbprint, or else by any of the first four keys that fit.",
  "issuers.[].accept_id_tokens": "Take ID tokens too, for providers whose frontends have no other.",
  "issuers.[].token_header":
    "The header that carries the token. Access's own is taken on the audit routes only.",
  upstreams: "Where runs are, by a name of your own.",
  "upstreams.*": "One server, or one project on it.",
  "upstreams.*.kind": "Which API it speaks.",
  "upstreams.*.base_url": "Its address, up to where the API's paths begin.",
  "upstreams.*.action":
    "What a cancel does there: interrupt keeps the run, rollback deletes it and what it has done.",
  "upstreams.*.auth": "The header that carries the key: one of its own, or a bearer token's.",
  "upstreams.*.dialect": "Whose server it is, where they differ on the wire.",
  "upstreams.*.user_project":
    "Sent as `x-goog-user-project`: whom a bearer token's calls are charged to.",
  "upstreams.*.api_revision": "Sent as `api-revision`: a date.",
  "upstreams.*.api_version":
    "Sent as `api-version` with every request: Microsoft Foundry wants it.",
  tenants: "Who may stop what, by tenant. The id is part of KV keys: a-z, 0-9, '_' and '-'.",
  "tenants.*": "One tenant.",
  "tenants.*.enabled": "false is the kill switch: every call is refused, everywhere within 90 s.",
  "tenants.*.upstream": "The name of its upstream.",
  "tenants.*.credential": "The upstream's key: named, sealed, or fetched by client credentials.",
  "tenants.*.second_credential":
    "Tried once when the upstream refuses the first, so that keys can be changed without a gap.",
  "tenants.*.ownership": "What proves whose run it is. No proof means no.",
  "tenants.*.ownership.source":
    "grant: the token names the run. metadata: the run does. registry: your backend said so. credential: the key is this tenant's alone.",
  "tenants.*.ownership.tenant_key": "The metadata key under which your backend wrote the tenant.",
  "tenants.*.ownership.subject_key":
    "The metadata key under which your backend wrote the user's `sub`.",
  "tenants.*.ownership.subject_issuers":
    "The issuers whose subjects are the owners' names. Needed where tokens of several issuers reach the tenant; list several only if they name the same people.",
  "tenants.*.ownership.retention_days": "How long a registration counts.",
  "tenants.*.rules": "Tried in order: the first that matches decides, and none means no.",
  "tenants.*.rules.[].id": "What audit events call it.",
  "tenants.*.rules.[].effect": "Whether it allows or refuses what it matches.",
  "tenants.*.rules.[].scopes": "The token must have all of these.",
  "tenants.*.rules.[].runs": "own: tenant and person are proved. tenant: the tenant is.",
  "tenants.*.rules.[].assistants":
    "Holds for runs of these assistants; `asst_*` for all that begin so.",
  "tenants.*.rules.[].max_age_seconds": "Holds for runs that were created no longer ago.",
  "tenants.*.rules.[].reason_required": "The cancel must say why.",
  "tenants.*.assistants": "Only runs of these assistants, whatever the rules say.",
  "tenants.*.origins":
    "Pages and apps that may call, to the letter: https://app.example.com, tauri://localhost. One `*` inside the first label, as https://app-*-team.vercel.app, stands for a part of it.",
  "tenants.*.rate":
    'A tier of wrangler.toml: "gold" is counted by the binding RATE_GOLD, per person.',
  "tenants.*.accepts_deletion":
    "The upstream's cancel may delete the run and what it has done (`action: rollback`).",
  "tenants.*.on_terminal": "A run that had ended: run answers with it, error with 400.",
  "tenants.*.redact":
    "Fields of the Run that are shown with their neutral value; output: what a response has said.",
  "tenants.*.revoked_tokens": "Tokens that are refused before their time, by `jti`.",
  "tenants.*.audit": "How it is put on record.",
  "tenants.*.audit.on_failure":
    "When no record can be written: refuse cancels nothing, proceed cancels without one.",
  "tenants.*.audit.retention_days": "How long events are kept in KV.",
  "tenants.*.audit.subject": "clear writes the `sub`, hmac a pseudonym (needs AUDIT_SUBJECT_KEY).",
  "credential.secret": "The name of a Worker secret.",
  "credential.sealed": "The key, sealed for this tenant by `npm run gateway -- seal`.",
  "credential.client_credentials": "OAuth 2.0: a token is fetched with this client, and renewed.",
  "credential.client_credentials.token_url": "The token endpoint.",
  "credential.client_credentials.client_id": "The client's id.",
  "credential.client_credentials.client_secret": "The client's secret: named, or sealed.",
  "credential.client_credentials.scope": "The scope to ask for.",
};
