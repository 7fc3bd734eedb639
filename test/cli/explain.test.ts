// `gateway explain` as an operator runs it: the same decision as the gateway's, from a file and claims.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createIssuer } from "../../dev/issuer.ts";
import { temporaryFolder } from "../e2e/support/black-box.ts";
import { type Ran, runGateway } from "../e2e/support/command.ts";

const CONFIG = {
  issuers: [
    {
      issuer: "https://id.acme.com/",
      jwks_uri: "https://id.acme.com/keys",
      audiences: ["https://machines.acme.com"],
      claims: { gty: ["client-credentials", "password"] },
      tenant: { fixed: "acme" },
      subject_claim: "azp",
      scopes_claim: "roles",
      scopes_map: { "support-team": ["help"] },
    },
    {
      issuer: "https://id.acme.com/",
      jwks_uri: "https://id.acme.com/keys",
      audiences: ["https://stop.acme.com"],
      tenant: { claim: "org_id", allow: ["acme", "off", "reg", "cred", "gone"] },
    },
  ],
  upstreams: { openai: { kind: "openai-responses", base_url: "https://api.openai.com/v1" } },
  tenants: Object.fromEntries(
    [
      ["acme", { source: "metadata", tenant_key: "tenant", subject_key: "user" }, {}],
      ["off", { source: "grant" }, { enabled: false }],
      ["reg", { source: "registry" }, {}],
    ].map(([id, ownership, over]) => [
      id,
      {
        upstream: "openai",
        credential: { secret: "KEY" },
        ownership,
        rules: [
          { id: "frozen", effect: "deny", scopes: ["stop"], runs: "own", assistants: ["asst_f*"] },
          { id: "owner", scopes: ["stop"], runs: "own", max_age_seconds: 3600 },
          { id: "help", scopes: ["help"], runs: "tenant", reason_required: true },
        ],
        ...(over as object),
      },
    ]),
  ),
};
const CLAIMS = { iss: "https://id.acme.com/", sub: "ann", org_id: "acme", scope: "stop" };
const RUN = ["--thread", "thread_1", "--run", "run_1"];
const OWN = ["--metadata", '{"tenant":"acme","user":"ann"}'];

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeFile(join(folder.path, "gateway.json"), JSON.stringify(CONFIG));
});
afterAll(async () => folder?.remove());

async function explain(claims: object | string, ...flags: string[]): Promise<Ran> {
  const file = join(folder.path, "claims.json");
  await writeFile(file, typeof claims === "string" ? claims : JSON.stringify(claims));
  const config = join(folder.path, "gateway.json");
  return await runGateway("explain", "--config", config, "--claims", file, ...RUN, ...flags);
}

describe("explain", () => {
  it("takes ids as the gateway does", async () => {
    const known = ["--assistant", "asst_1", "--age", "60"];
    const opaque = await explain(
      CLAIMS,
      ...OWN,
      ...known,
      "--run",
      `resp_v3:gcm:${"a".repeat(430)}==`,
    );
    expect(opaque.code).toBe(0);
    const dots = await explain(CLAIMS, ...OWN, ...known, "--run", "..");
    expect(dots).toMatchObject({ code: 1, stdout: expect.stringContaining("run_not_found") });
  });

  it("names the rule, and says why those before it do not match", async () => {
    const { code, stdout } = await explain(CLAIMS, ...OWN, "--assistant", "asst_1", "--age", "60");
    expect(code).toBe(0);
    expect(stdout.trim().split("\n")).toEqual([
      "Allowed by rule 'owner'.",
      "  ann of tenant acme, scopes: stop",
      "  frozen  does not match: its assistant is not on the list",
      "  owner   matches, and allows",
      "  (taken as right, since not said: iat, exp, aud)",
    ]);
  });

  it("takes the entry of the issuer that the claims are for, with its subject and its roles", async () => {
    const claims = { iss: CLAIMS.iss, gty: "client-credentials", azp: "backend" };
    const other = ["--metadata", '{"tenant":"acme","user":"eve"}', "--reason", "asked"];
    const { stdout } = await explain({ ...claims, roles: ["support-team", "stop"] }, ...other);
    expect(stdout.trim().split("\n").slice(0, 2)).toEqual([
      "Allowed by rule 'help', with a reason.",
      "  backend of tenant acme, scopes: help",
    ]);
    const { stdout: refused } = await explain({ ...claims, roles: ["stop"] }, ...other);
    expect(refused).toContain("Refused: insufficient_scope");
  });

  it.each<[string, object, string[], string]>([
    [
      "a rule denies it",
      CLAIMS,
      [...OWN, "--assistant", "asst_f1"],
      "Refused by rule 'frozen': policy_denied (the rule denies it).",
    ],
    [
      "what is not known cannot escape a rule that denies",
      CLAIMS,
      OWN,
      "Refused by rule 'frozen': policy_denied (the rule denies it).",
    ],
    [
      "no rule matches",
      CLAIMS,
      [...OWN, "--assistant", "a", "--age", "7200"],
      "Refused: policy_denied (no rule matches).",
    ],
    [
      "it is another's run",
      { ...CLAIMS, sub: "eve" },
      OWN,
      "Refused: run_not_found (another person's run).",
    ],
    [
      "it is nobody's run",
      CLAIMS,
      [],
      "Refused: run_not_found (not proved to be the tenant's run).",
    ],
    [
      "the scopes are missing",
      { ...CLAIMS, scope: "openid" },
      OWN,
      "Refused: insufficient_scope (no rule's scopes).",
    ],
    ["the token is past", { ...CLAIMS, exp: 1 }, OWN, "Refused: invalid_token (claim exp: past)."],
    [
      "the token is for another",
      { ...CLAIMS, aud: "x" },
      OWN,
      "Refused: invalid_token (for none of its issuer's entries (claim aud: no audience of this gateway)).",
    ],
    [
      "the issuer is unknown",
      { ...CLAIMS, iss: "x" },
      OWN,
      "Refused: invalid_token (claim iss: not an issuer of this config).",
    ],
    [
      "the tenant is not the issuer's",
      { ...CLAIMS, org_id: "x" },
      OWN,
      "Refused: tenant_not_allowed (not on the issuer's list).",
    ],
    [
      "the tenant is not there",
      { ...CLAIMS, org_id: "gone" },
      OWN,
      "Refused: tenant_not_allowed (there is no such tenant).",
    ],
    [
      "the tenant is switched off",
      { ...CLAIMS, org_id: "off" },
      OWN,
      "Refused: tenant_not_allowed (the tenant is switched off).",
    ],
    [
      "it is registered for somebody else",
      { ...CLAIMS, org_id: "reg" },
      ["--owner", "eve"],
      "Refused: run_not_found (another person's run).",
    ],
  ])("says so when %s", async (_, claims, flags, line) => {
    const { code, stdout } = await explain(claims, ...flags);
    expect(stdout.split("\n")[0]).toBe(line);
    expect(code).toBe(1);
  });

  it("takes a token as it is, and speaks to machines", async () => {
    const issuer = await createIssuer({
      issuer: "https://id.acme.com/",
      alg: "ES256",
      audience: "https://stop.acme.com",
    });
    const token = await issuer.mint({ sub: "sam", tenant: "reg", scope: "help stop" });
    const flags = ["--owner", "ann", "--reason", "asked to", "--age", "5", "--json"];
    const { code, stdout } = await explain(`Bearer ${token}\n`, ...flags);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      allowed: true,
      rule: "help",
      code: null,
      reason: "the rule allows it",
      reason_required: true,
      rules: [
        { id: "frozen", effect: "deny", mismatch: "the run is not proved to be the caller's own" },
        { id: "owner", effect: "allow", mismatch: "the run is not proved to be the caller's own" },
        { id: "help", effect: "allow", mismatch: null },
      ],
      caller: { tenant: "reg", subject: "sam", scopes: ["help", "stop"] },
      proof: "tenant",
      notes: [],
    });
  });

  it("takes a response by its id alone, and a grant that names it so", async () => {
    const byGrant = {
      ...CONFIG,
      tenants: {
        acme: {
          ...CONFIG.tenants["acme"],
          ownership: { source: "grant" },
          rules: [{ id: "owner", scopes: ["stop"], runs: "own" }],
        },
        off: CONFIG.tenants["off"],
      },
    };
    const config = join(folder.path, "by-grant.json");
    const claims = join(folder.path, "granted.json");
    await writeFile(config, JSON.stringify(byGrant));
    const details = [{ type: "run_cancel", run_id: "resp_1" }];
    await writeFile(claims, JSON.stringify({ ...CLAIMS, authorization_details: details }));
    const ask = async (...run: string[]) =>
      (await runGateway("explain", "--config", config, "--claims", claims, ...run)).code;
    expect(await ask("--run", "resp_1")).toBe(0);
    expect(await ask("--run", "resp_2")).toBe(1);
    expect(await ask("--thread", "thread_1", "--run", "resp_1")).toBe(1);
  });

  it("says that a reason will be wanted, and that an odd id is no run", async () => {
    const help = { ...CLAIMS, scope: "help" };
    for (const flags of [OWN, [...OWN, "--reason", " "]]) {
      const { code, stdout } = await explain(help, ...flags);
      expect(code).toBe(0);
      expect(stdout.split("\n")[0]).toBe("Allowed by rule 'help', with a reason.");
    }
    const { code, stdout } = await explain(CLAIMS, ...OWN, "--run", "a/b");
    expect(code).toBe(1);
    expect(stdout.split("\n")[0]).toBe("Refused: run_not_found (no run has such an id).");
  });

  it.each<[string, object | string, string[], string]>([
    ["claims that are none", "nonsense", OWN, "neither a JSON object of claims nor a token"],
    [
      "metadata that is none",
      CLAIMS,
      ["--metadata", "tenant=acme"],
      "--metadata takes a JSON object",
    ],
    ["an age that is none", CLAIMS, [...OWN, "--age", "old"], "--age takes a number of seconds"],
  ])("cannot do with %s", async (_, claims, flags, says) => {
    const { code, stderr } = await explain(claims, ...flags);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
  });
});
