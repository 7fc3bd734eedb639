// Whose tokens count: an answer → the text of the entry, and what the rest of the config has to know.
import type { JWK } from "jose";
import type { Issuer } from "../../src/config/schema.ts";
import { jsonText } from "./json-text.ts";
import { type Blanks, CLOUDFLARE_ACCESS, type Provider } from "./providers.ts";
import { fillSample } from "./samples.ts";

export type IssuerAnswer =
  | { readonly kind: "sample"; readonly provider: Provider; readonly blanks: Blanks }
  | { readonly kind: "another"; readonly another: Another }
  | { readonly kind: "local" };

export interface Another {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly audience: string;
  readonly algorithms: Issuer["algorithms"];
  /** Null: every token of it is this tenant's. */
  readonly tenantClaim: string | null;
}

export interface IssuerText {
  /** Entries of `issuers`, with their comments, indented but for their first line. */
  readonly entries: readonly string[];
  /** Comment lines for the head of the file. */
  readonly about: readonly string[];
  readonly supportScopes: readonly string[];
  readonly grantedScopes: readonly string[];
}

const SUPPORT_SCOPES = ["runs:cancel:support"];
/** RFC 2606 §2 keeps it from ever being somebody's. */
export const LOCAL_ISSUER = "https://local.issuer.invalid/";

/** `localKey`: the public half of LOCAL_ISSUER_KEY, where there is one. */
export async function issuerText(
  answer: IssuerAnswer,
  tenant: string,
  localKey: JWK | null,
): Promise<IssuerText> {
  const plain = { about: [], supportScopes: SUPPORT_SCOPES, grantedScopes: [] };
  if (answer.kind === "local") return { ...plain, entries: [localEntry(tenant, localKey)] };
  if (answer.kind === "another")
    return { ...plain, entries: [anotherEntry(answer.another, tenant)] };
  const { entry, ...rest } = await fillSample(answer.provider, answer.blanks, tenant);
  return { ...rest, entries: [entry] };
}

/** As `issuerText`, with Cloudflare Access before it: the way to the audit log. */
export async function withAccess(
  blanks: Blanks,
  tenant: string,
  users: IssuerText,
): Promise<IssuerText> {
  const { entry, about } = await fillSample(CLOUDFLARE_ACCESS, blanks, tenant);
  const todo = about.findIndex((line) => line.startsWith("// At Cloudflare"));
  return {
    ...users,
    entries: [entry, ...users.entries],
    about: [
      ...users.about,
      "// Beside it the audit log can be read through Cloudflare Access, which lets nobody stop a run.",
      ...about.slice(todo),
    ],
  };
}

function localEntry(tenant: string, localKey: JWK | null): string {
  return entryText([
    "// A local issuer, to try the gateway out: `npm run gateway -- token` makes its tokens, with the",
    "// private key LOCAL_ISSUER_KEY. Whoever has that key can be anybody, so take this entry out before",
    "// you deploy.",
    ["issuer", LOCAL_ISSUER],
    ["jwks", { keys: [localKey] }],
    ["audiences", ["stopgate"]],
    ["algorithms", [localKey?.alg]],
    "// The tenant that a token says, if it is one of these.",
    ["tenant", { claim: "tenant", allow: [tenant] }],
    ["scopes_claim", "scope"],
  ]);
}

function anotherEntry(another: Another, tenant: string): string {
  const { issuer, jwksUri, audience, algorithms, tenantClaim } = another;
  return entryText([
    "// Compared with `iss`, to the letter.",
    ["issuer", issuer],
    ["jwks_uri", jwksUri],
    "// The gateway's own: a token that was made for somebody else's API is none for this.",
    ["audiences", [audience]],
    ["algorithms", algorithms],
    ...(tenantClaim === null
      ? ([
          "// Every token of this issuer is this tenant's. Where it has several, name the claim that tells.",
          ["tenant", { fixed: tenant }],
        ] as const)
      : ([["tenant", { claim: tenantClaim, allow: [tenant] }]] as const)),
    "// A text with spaces, or a list.",
    ["scopes_claim", "scope"],
  ]);
}

type Line = string | readonly [name: string, value: unknown];

/** An entry of `issuers`: comments, and members. */
function entryText(lines: readonly Line[]): string {
  const last = lines.findLastIndex((line) => typeof line !== "string");
  const written = lines.map((line, index) => {
    if (typeof line === "string") return `      ${line}\n`;
    const [name, value] = line;
    const key = `      ${JSON.stringify(name)}: `;
    return `${key}${jsonText(value, 6, key.length)}${index === last ? "" : ","}\n`;
  });
  return `{\n${written.join("")}    }`;
}
