// `npm run --silent audit-key`: prints a new audit key, for `wrangler secret put AUDIT_SIGNING_KEY`.
import { Command } from "commander";
import { readFlags } from "./shell.ts";
import { newSigningKey } from "./signing-key.ts";

readFlags(
  new Command("npm run --silent audit-key --")
    .description(
      "Prints a new key for AUDIT_SIGNING_KEY, an Ed25519 JWK: a secret, so keep it out of the terminal.",
    )
    .addHelpText(
      "after",
      `
Example:
  (umask 077; npm run --silent audit-key > audit-key.json)`,
    ),
);
console.log(await newSigningKey());
