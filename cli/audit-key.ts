// `npm run --silent audit-key`: prints a new audit key, for `wrangler secret put AUDIT_SIGNING_KEY`.
import { newSigningKey } from "./signing-key.ts";

console.log(await newSigningKey());
