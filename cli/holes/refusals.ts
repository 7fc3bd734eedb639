// How to mend what the schema refuses, where its own sentence does not say. Told by that sentence: the
// schema is the Worker's too, which has no use for advice.

const CURES: readonly (readonly [says: RegExp, cure: string])[] = [
  [
    /proves nothing, since/,
    "give each of the two an upstream key of its own, or let the run or the token say whose it is ('metadata', 'registry', 'grant')",
  ],
  [
    /a credential proves no person/,
    "let the rules be for 'tenant' runs, or take a source that names the person: 'metadata', 'registry', 'grant'",
  ],
  [/exactly one of jwks_uri and jwks/, "where the provider has an address, keep 'jwks_uri' alone"],
  [
    /must be an exact origin/,
    "write out each origin, such as https://app.example.com, as the browser sends it",
  ],
  [
    /is (an address|a name) of a private network/,
    "give a public name for it: nothing at Cloudflare can reach a private network but by one, such as a tunnel's",
  ],
  [/is an IP address, and no name/, "give the name that its certificate is for"],
  [/is this machine/, "for 'npm start' alone, take http and the port: http://127.0.0.1:8788"],
  [/it (has a (query|fragment)|names a user)/, "take that part of the address out"],
  [/must be an https URL/, "use https; http is for addresses on this machine alone"],
  [/\.algorithms\./, "use one whose key can verify but not sign, such as RS256, ES256 or EdDSA"],
  [/\.audiences: /, "name whom the tokens are for, as the provider calls this gateway in 'aud'"],
  [/there is no tenant/, "add the tenant, or name one that is there"],
  [/there is no upstream/, "add the upstream, or name one that is there"],
  [/Unrecognized key.*did you mean/, "write it so, or take it out"],
  [/did you mean/, "write it so"],
  [/Unrecognized key/, "look for its right spelling in docs/config.md, or take it out"],
  [
    /subject_issuers is missing/,
    "list in ownership.subject_issuers the issuer of your users; list several only if they name the same people by the same subject",
  ],
  [/subject_issuers: no token of/, "name issuers of this config whose 'tenant' can be this tenant"],
  [
    /two entries have the same issuer/,
    "make one entry of the two, or let 'audiences' or 'claims' say which tokens are for which",
  ],
  [/two rules share an id/, "give one of them another id: events call rules by it"],
  [/name is the gateway's own/, "keep the upstream's key under a name of its own"],
  [/a secret's name is upper case/, "put the key into a Worker secret, and the secret's name here"],
  [/a rule that allows needs a scope/, "name a scope that only those have who may"],
  [/a rule that denies asks for no reason/, "take 'reason_required' out"],
  [/no rule allows anything/, "let one of the rules allow, or set 'enabled' to false"],
  [/: a (secret|private) key:/, "give the public half, and have the provider replace the key"],
  [/: an (RSA|Ed25519) key (of|with)/, "have the provider make a new key"],
];

/** Null where there is nothing to add. `message`: what `describeIssue` said. */
export function cureOf(message: string): string | null {
  return CURES.find(([says]) => says.test(message))?.[1] ?? null;
}
