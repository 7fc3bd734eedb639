// `npm run gateway -- lint`, as an operator runs it, against an identity provider on this machine.
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createKey } from "../../dev/issuer.ts";
import { temporaryFolder } from "../e2e/support/black-box.ts";

const GATEWAY = join(import.meta.dirname, "../../cli/gateway.ts");
const KEY = await createKey("ES256");

let server: Server;
let origin: string;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** What the provider answers, by path; anything else is 404. */
let answers: Record<string, unknown>;
let asked: string[] = [];

const answer: RequestListener = (request, response) => {
  const path = request.url ?? "";
  asked.push(path);
  const body = answers[path];
  if (body === undefined) response.statusCode = 404;
  if (typeof body === "number") response.writeHead(body, { location: `${origin}/keys` });
  response.end(typeof body === "object" ? JSON.stringify(body) : String(body ?? ""));
};

beforeAll(async () => {
  folder = await temporaryFolder();
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server?.close();
  await folder?.remove();
});

const OIDC = "/realms/acme/.well-known/openid-configuration";
const OAUTH = "/.well-known/oauth-authorization-server/realms/acme";
const issuer = () => `${origin}/realms/acme`;
const metadata = () => ({ issuer: issuer(), jwks_uri: `${origin}/keys`, other: true });

beforeEach(() => {
  answers = { "/keys": { keys: [KEY.publicJwk] }, [OIDC]: metadata() };
  asked = [];
});

/** A config as people write it, with `entry` as what an issuer's first lines say. */
const config = (entry: string, tenant = "acme"): string => `{
  // Whose tokens count.
  "issuers": [
    {
      ${entry}, // to the letter
      "audiences": ["stop"],
      "algorithms": ["ES256"],
      "tenant": { "fixed": "${tenant}" }
    }
  ],
  "upstreams": { "openai": { "kind": "openai-responses", "base_url": "https://api.openai.com/v1" } },
  "tenants": {
    "acme": {
      "upstream": "openai",
      "credential": { "secret": "OPENAI_KEY_ACME" },
      "ownership": { "source": "credential" },
      "rules": [{ "id": "all", "scopes": ["runs:cancel"], "runs": "tenant" }],
    }
  }
}
`;

async function lint(text: string, ...flags: string[]) {
  const file = join(folder.path, "gateway.jsonc");
  await writeFile(file, text);
  const child = spawn(process.execPath, [GATEWAY, "lint", file, ...flags]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
    });
  }
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const lines = output
    .trim()
    .replaceAll(`${folder.path}/`, "")
    .replaceAll(origin, "http://idp")
    .split("\n");
  return { code, lines, text: await readFile(file, "utf8") };
}

describe("lint", () => {
  it("is content with a good config, and asks nobody unless told to", async () => {
    const text = config(`"issuer": "${issuer()}", "jwks_uri": "${origin}/keys"`);
    expect(await lint(text)).toEqual({ code: 0, lines: ["gateway.jsonc: no problem."], text });
    expect(asked).toEqual([]);
  });

  it("says every problem, each with its line, and ends with 1", async () => {
    const text = config('"issuer": ""', "globex").replace('"rules"', '"rule": 1, "rules"');
    expect(await lint(text)).toEqual({
      code: 1,
      text,
      lines: [
        "gateway.jsonc:4: issuers.0: give exactly one of jwks_uri and jwks ('npm run gateway -- lint FILE --online' finds jwks_uri).",
        "    → where the provider has an address, keep 'jwks_uri' alone.",
        "gateway.jsonc:5: issuers.0.issuer: Too small: expected string to have >=1 characters.",
        "gateway.jsonc:8: issuers.0.tenant.fixed: there is no tenant 'globex'.",
        "    → add the tenant, or name one that is there.",
        "gateway.jsonc:13: tenants.acme: Unrecognized key: \"rule\" (did you mean 'rules'?).",
        "    → write it so, or take it out.",
        "gateway.jsonc: 4 problems.",
      ],
    });
  });

  it("says how an issuer without keys gets them", async () => {
    const { code, lines } = await lint(config('"issuer": "https://id.acme.test/"'));
    expect(code).toBe(1);
    expect(lines[0]).toBe(
      "gateway.jsonc:4: issuers.0: give exactly one of jwks_uri and jwks ('npm run gateway -- lint FILE --online' finds jwks_uri).",
    );
  });

  it.each([
    ["a file that is not there", ["lint", "/nowhere/gateway.jsonc"], /cannot be read \(ENOENT\)/],
    ["no file", ["lint"], /missing required argument 'file'\n.*--help/],
    [
      "an unknown flag",
      ["lint", "x", "--onlin"],
      /unknown option '--onlin'\n\(Did you mean --online\?\)/,
    ],
    ["an unknown command", ["lin"], /unknown command 'lin'/],
  ])("refuses %s in one sentence", async (_, parameters, says) => {
    const child = spawn(process.execPath, [GATEWAY, ...parameters]);
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
    });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(2);
    expect(output).toMatch(says);
    expect(output).not.toMatch(/\n\s+at /);
  });
});

describe("lint --online", () => {
  it("writes the address of the keys behind the issuer, and leaves all else as it is", async () => {
    const text = config(`"issuer": "${issuer()}"`);
    const pinned = await lint(text, "--online");
    expect(pinned).toMatchObject({
      code: 0,
      lines: [
        "gateway.jsonc:5: wrote jwks_uri, as http://idp/realms/acme publishes it.",
        "gateway.jsonc:5: http://idp/realms/acme publishes 1 key for ES256.",
        "gateway.jsonc: no problem.",
      ],
    });
    const added = `"jwks_uri": "${origin}/keys",\n      `;
    expect(pinned.text).toBe(text.replace('"issuer": ', `${added}"issuer": `));
    expect(asked).toEqual([OIDC, "/keys"]);
    const again = await lint(pinned.text, "--online");
    expect(again).toMatchObject({ code: 0, text: pinned.text });
  });

  it.each<[string, string, (text: string) => string]>([
    ["on one line", " ", (text) => text.replace(/\s+\/\/ .*/g, "").replace(/\s+/g, " ")],
    ["with lines as Windows ends them", "\r\n      ", (text) => text.replaceAll("\n", "\r\n")],
    [
      "with the issuer as its last member",
      "\n      ",
      (text) => {
        const [line = ""] = /.*"issuer": .*\n/.exec(text) ?? [];
        const others = text.replace(line, "").replace('"fixed": "acme" }', '"fixed": "acme" },');
        return others.replace(/(.*"tenant": .*\n)/, `$1${line.replace(",", "")}`);
      },
    ],
  ])("writes it into a file %s as well", async (_, lead, rewritten) => {
    const text = rewritten(config(`"issuer": "${issuer()}"`));
    const added = `"jwks_uri": "${origin}/keys",${lead}`;
    expect(await lint(text, "--online")).toMatchObject({
      code: 0,
      text: text.replace('"issuer": ', `${added}"issuer": `),
    });
  });

  it("takes the metadata of RFC 8414 where there are none of OpenID", async () => {
    answers = { "/keys": answers["/keys"], [OAUTH]: metadata() };
    expect((await lint(config(`"issuer": "${issuer()}"`), "--online")).code).toBe(0);
    expect(asked).toEqual([OIDC, OAUTH, "/keys"]);
  });

  it.each<[string, () => Record<string, unknown>, string]>([
    [
      "publishes no discovery",
      () => ({}),
      `publishes no discovery (http://idp${OIDC} answered 404; http://idp${OAUTH} answered 404): give jwks_uri`,
    ],
    [
      "redirects",
      () => ({ [OIDC]: 302, [OAUTH]: 301 }),
      `publishes no discovery (http://idp${OIDC} answered 302; http://idp${OAUTH} answered 301): give jwks_uri`,
    ],
    [
      "answers with a page",
      () => ({ [OIDC]: "<html>", [OAUTH]: { issuer: 1 } }),
      `publishes no discovery (http://idp${OIDC} answered with something else; http://idp${OAUTH} answered with something else): give jwks_uri`,
    ],
    [
      "answers without end",
      () => ({ [OIDC]: " ".repeat(300_000) }),
      `publishes no discovery (http://idp${OIDC} answered with something else; http://idp${OAUTH} answered 404): give jwks_uri`,
    ],
    [
      "has another name for itself",
      () => ({ [OIDC]: { ...metadata(), issuer: `${issuer()}/` } }),
      'calls itself "http://idp/realms/acme/", to the letter: set issuer to that',
    ],
    [
      "names an address that the gateway would refuse",
      () => ({ [OIDC]: { ...metadata(), jwks_uri: "http://id.acme.test/keys" } }),
      'names "http://id.acme.test/keys" as jwks_uri, which the gateway would not take',
    ],
  ])("says so when the provider %s, and leaves the file alone", async (_, provided, says) => {
    answers = provided();
    const text = config(`"issuer": "${issuer()}"`);
    expect(await lint(text, "--online")).toEqual({
      code: 1,
      text,
      lines: [`gateway.jsonc:4: http://idp/realms/acme ${says}.`, "gateway.jsonc: 1 problem."],
    });
  });

  it("asks nobody about a file that is no JSON", async () => {
    const text = config(`"issuer": "${issuer()}"`).replace('"upstreams"', "upstreams");
    const { code, lines, text: left } = await lint(text, "--online");
    expect({ code, left, asked }).toEqual({ code: 1, left: text, asked: [] });
    expect(lines[0]).toMatch(/^gateway\.jsonc:11: not valid JSON \(\w+\)\.$/);
  });

  it("says so when nobody is there, or the issuer is no address", async () => {
    const { lines } = await lint(config('"issuer": "http://127.0.0.1:1/"'), "--online");
    expect(lines[0]).toMatch(
      /^gateway\.jsonc:4: \S+ publishes no discovery \(\S+ cannot be reached/,
    );
    const plain = await lint(config('"issuer": "accounts.acme.test"'), "--online");
    expect(plain.lines[0]).toBe(
      "gateway.jsonc:4: accounts.acme.test is no https address, so there is nobody to ask: give jwks_uri.",
    );
    expect((await lint(config('"issuer": "http://id.acme.test/"'), "--online")).code).toBe(1);
    expect(asked).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ["are not there", undefined, "has no keys to offer: the key endpoint answered 404"],
    ["are elsewhere", 302, "has no keys to offer: the key endpoint answered 302"],
    ["are none", { keys: [] }, "has no keys to offer: the key document: keys: holds no key"],
    [
      "hold a secret one",
      { keys: [{ kty: "oct", k: "c2VjcmV0" }] },
      "has no keys to offer: the key document: holds no key that can verify a token (keys.0: a secret key: only public keys are wanted)",
    ],
    [
      "are for other algorithms",
      {
        keys: [
          {
            kty: "OKP",
            crv: "Ed25519",
            kid: "a",
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
          },
        ],
      },
      "publishes keys for EdDSA, but algorithms says ES256",
    ],
    [
      "have no name",
      { keys: [{ ...KEY.publicJwk, kid: undefined }] },
      "publishes a key without a kid: set allow_missing_kid to take it",
    ],
  ])("says so when the keys %s", async (_, keys, says) => {
    answers["/keys"] = keys;
    const text = config(`"issuer": "${issuer()}", "jwks_uri": "${origin}/keys"`);
    expect(await lint(text, "--online")).toEqual({
      code: 1,
      text,
      lines: [`gateway.jsonc:5: http://idp/realms/acme ${says}.`, "gateway.jsonc: 1 problem."],
    });
  });

  it("says which of the keys cannot be used, and that the others can", async () => {
    const small = { kty: "RSA", kid: "small", e: "AQAB", n: `${"_".repeat(170)}8` };
    answers["/keys?appid=1"] = { keys: [small, KEY.publicJwk, { ...KEY.publicJwk, use: "enc" }] };
    const text = config(`"issuer": "${issuer()}", "jwks_uri": "${origin}/keys?appid=1"`);
    const { code, lines } = await lint(text, "--online");
    expect({ code, lines }).toEqual({
      code: 0,
      lines: [
        "gateway.jsonc:5: http://idp/realms/acme publishes 1 key for ES256; 1 cannot be used (keys.0: an RSA key of 1024 bits).",
        "gateway.jsonc: no problem.",
      ],
    });
  });
});
