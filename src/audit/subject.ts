// How an event names its actor: in clear, or as a pseudonym that only the key's holder can look up.
import type { Tenant } from "../config/load.ts";
import type { Person } from "../policy/person.ts";

export type NameSubject = (tenant: Tenant, person: Person) => Promise<string>;

/**
 * `secret` is AUDIT_SUBJECT_KEY; without it a tenant that asks for pseudonyms is refused when its
 * config is loaded, so `secret` is there whenever it is needed.
 */
export function createNameSubject(secret: string | undefined): NameSubject {
  let key: CryptoKey | undefined;
  return async (tenant, { issuer, subject }) => {
    if (tenant.audit.subject === "clear") return subject;
    key ??= await crypto.subtle.importKey(
      "raw",
      new TextEncoder().encode(secret),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    // The tenant inside keeps one person's pseudonyms in two tenants apart.
    const message = [tenant.id, issuer, subject].join("\0");
    const digest = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(message));
    return `hmac:${Buffer.from(digest).toString("base64url")}`;
  };
}
