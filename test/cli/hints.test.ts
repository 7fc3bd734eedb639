// What lint adds to the schema's own sentence: the member or word that was meant, and what is wrong with an
// address or an origin.
import { afterAll, describe, expect, it } from "vitest";
import { CLEAN, lintOf, removeFolder } from "../e2e/support/clean-config.ts";

afterAll(removeFolder);

async function refusal(
  from: string,
  to: string,
): Promise<{ message: string; cure: string | null }> {
  expect(CLEAN).toContain(from);
  const { problems } = await lintOf(CLEAN.replace(from, () => to));
  const refused = problems.filter(({ id }) => id === "schema");
  expect(refused.length).toBeLessThanOrEqual(1);
  const [first] = refused;
  return { message: first?.message ?? "nothing", cure: first?.cure ?? null };
}

describe("an unknown member", () => {
  it.each([
    ["of the document", '"issuers":', '"issuer":', "issuers"],
    ["in the plural", '"audiences":', '"audience":', "audiences"],
    ["cut short", '"audiences":', '"aud":', "audiences"],
    ["in camel case", '"subject_key":', '"subjectKey":', "subject_key"],
    ["with a hyphen", '"reason_required":', '"reason-required":', "reason_required"],
    ["in capitals", '"redact":', '"Redact":', "redact"],
    ["with two letters changed places", '"upstream":', '"upstraem":', "upstream"],
    ["with a letter too many, in a rule", '"scopes":', '"scoppes":', "scopes"],
    ["of an upstream", '"base_url":', '"baseurl":', "base_url"],
    ["of an upstream, with another word", '"base_url":', '"base_uri":', "base_url"],
    ["of a proof", '"tenant_key":', '"tenantkey":', "tenant_key"],
  ])("%s is told by its name: %s", async (_, from, to, meant) => {
    expect(await refusal(from, to)).toMatchObject({
      message: expect.stringContaining(`(did you mean '${meant}'?)`),
      cure: "write it so, or take it out",
    });
  });

  it("that is like none is told to be unknown, and no more", async () => {
    const { message, cure } = await refusal('"redact":', '"zzz": 1, "redact":');
    expect(message).toMatch(/: Unrecognized key: "zzz"$/);
    expect(cure).toBe("look for its right spelling in docs/config.md, or take it out");
  });

  it("beside another is told with it", async () => {
    const { message } = await refusal('"redact":', '"origin": [], "rates": "x", "redact":');
    expect(message).toMatch(/\(did you mean 'origins' and 'rate'\?\)$/);
  });
});

describe("an address", () => {
  const THERE = "https://api.openai.com/v1";

  it.each([
    ["https://10.0.0.5", "10.0.0.5 is an address of a private network"],
    ["https://10.0.0.5:8443/v1", "10.0.0.5 is an address of a private network"],
    ["https://0xa000005/", "10.0.0.5 is an address of a private network"],
    ["https://172.31.255.1", "172.31.255.1 is an address of a private network"],
    ["https://192.168.1.20", "192.168.1.20 is an address of a private network"],
    ["https://169.254.169.254", "169.254.169.254 is an address of a private network"],
    ["https://100.64.0.1", "100.64.0.1 is an address of a private network"],
    ["https://[fd00::1]", "fd00::1 is an address of a private network"],
    ["https://[fe80::1]", "fe80::1 is an address of a private network"],
    ["https://[::ffff:10.0.0.5]", "::ffff:a00:5 is an address of a private network"],
    ["https://172.32.0.1", "172.32.0.1 is an IP address, and no name"],
    ["https://93.184.215.14", "93.184.215.14 is an IP address, and no name"],
    ["https://[2606:4700::1111]", "2606:4700::1111 is an IP address, and no name"],
    ["https://127.0.0.1:8443", "127.0.0.1 is this machine"],
    ["https://[::1]", "::1 is this machine"],
    ["https://localhost", "localhost is this machine"],
    ["https://runs.localhost", "runs.localhost is this machine"],
    ["https://llm.corp.internal", "llm.corp.internal is a name of a private network"],
    ["https://printer.local.", "printer.local is a name of a private network"],
    ["http://runs.acme.com", "it begins with http:"],
    ["ftp://runs.acme.com", "it begins with ftp:"],
    ["runs.acme.com", "it is no URL"],
    ["https://user:pw@runs.acme.com", "it names a user"],
    ["https://runs.acme.com/v1?x=1", "it has a query"],
    ["https://runs.acme.com/v1#x", "it has a fragment"],
    ["https://runs.acme.com/v 1", "it has a character that no URL has"],
  ])("such as %s is told what is wrong with it", async (address, why) => {
    const { message, cure } = await refusal(THERE, address);
    expect(message).toMatch(/^upstreams\.\w+\.base_url: must be an https URL/);
    expect(message.endsWith(`: ${why}`), message).toBe(true);
    expect(cure).toMatch(/^\S.{10,}[^.]$/);
  });
});

describe("a member of a choice", () => {
  const TENANT = '"tenant": { "claim": "org_id", "allow": ["acme", "initech"] }';
  const CREDENTIAL = '"credential": { "secret": "OPENAI_KEY_INITECH" }';
  const OWNERSHIP = '"ownership": { "source": "grant" }';

  it.each([
    ["a claim's tenants", TENANT, '"tenant": { "claim": "org_id", "alow": ["acme"] }', "allow"],
    ["a claim", TENANT, '"tenant": { "clam": "org_id", "allow": ["acme"] }', "claim"],
    ["a claim's map", TENANT, '"tenant": { "claim": "org_id", "maps": { "o1": "acme" } }', "map"],
    ["a fixed tenant", TENANT, '"tenant": { "fixd": "acme" }', "fixed"],
    ["a secret", CREDENTIAL, '"credential": { "secrt": "K" }', "secret"],
    ["a sealed key", CREDENTIAL, '"credential": { "seald": "a..b.c.d" }', "sealed"],
    ["credentials", CREDENTIAL, '"credential": { "clientCredentials": {} }', "client_credentials"],
    [
      "credentials, one level deeper",
      CREDENTIAL,
      '"credential": { "client_credentials": { "tokn_url": "https://a.test", "client_id": "a", "client_secret": { "secret": "K" } } }',
      "token_url",
    ],
    [
      "credentials, two levels deeper",
      CREDENTIAL,
      '"credential": { "client_credentials": { "token_url": "https://a.test", "client_id": "a", "client_secret": { "secrets": "K" } } }',
      "secret",
    ],
    ["the source", OWNERSHIP, '"ownership": { "sorce": "grant" }', "source"],
    ["a kind", '"kind": "assistants"', '"knd": "assistants"', "kind"],
  ])("is told by its name: %s", async (_, from, to, meant) => {
    const { message, cure } = await refusal(from, to);
    expect(message.endsWith(` (did you mean '${meant}'?)`), message).toBe(true);
    expect(cure).toBe("write it so");
  });

  it("that is like none is not guessed at", async () => {
    const { message } = await refusal(CREDENTIAL, '"credential": { "zzz": "K" }');
    expect(message).not.toContain("did you mean");
    expect((await refusal(CREDENTIAL, '"credential": "K"')).message).toMatch(/\{…\}\}$/);
  });

  it.each([
    ["a kind", '"openai-responses"', '"openai-respones"', "openai-responses"],
    ["a kind, joined otherwise", '"openai-responses"', '"OpenAI Responses"', "openai-responses"],
    ["a source", '"source": "grant"', '"source": "grants"', "grant"],
    ["an effect", '"effect": "deny"', '"effect": "denny"', "deny"],
    ["whose runs", '"runs": "own"', '"runs": "owm"', "own"],
    ["an algorithm", '["ES384", "ES256"]', '["ES384", "ES265"]', "ES256"],
    ["a field to hide", '["instructions"]', '["instruction"]', "instructions"],
    ["an upstream", '"upstream": "threads"', '"upstream": "thread"', "threads"],
    ["a tenant", '"fixed": "globex"', '"fixed": "globx"', "globex"],
  ])("whose word is misspelt is told the right one: %s", async (_, from, to, meant) => {
    const { message } = await refusal(from, to);
    expect(message.endsWith(` (did you mean '${meant}'?)`), message).toBe(true);
  });

  it("whose word is like none is not guessed at", async () => {
    const { message } = await refusal('"source": "grant"', '"source": "zzzzzz"');
    expect(message).toMatch(/^tenants\.initech\.ownership\.source: .*'credential'$/);
  });
});

describe("an origin", () => {
  const NO_LABEL =
    "a label of the host name is empty, too long, or has another character than a-z, 0-9 and '-'";

  it.each([
    ["null", "any page in a sandbox sends null, so it would let in all of them"],
    ["*", "a star alone would let in every page there is"],
    ["", "it is empty"],
    [" https://app.test", "it has blanks around it"],
    ["https://App.test", "browsers send it in small letters: https://app.test"],
    ["HTTPS://app.test", "browsers send it in small letters: https://app.test"],
    ["Tauri://localhost", "browsers send it in small letters: tauri://localhost"],
    ["https://app.test/", "an origin has no slash at its end: https://app.test"],
    ["https://App.test/", "an origin has no slash at its end: https://app.test"],
    ["capacitor://localhost/", "an origin has no slash at its end: capacitor://localhost"],
    ["https://app.test/stop", "an origin has no path, query or fragment: https://app.test"],
    ["https://app.test?x=1", "an origin has no path, query or fragment: https://app.test"],
    ["https://app.test/#x", "an origin has no path, query or fragment: https://app.test"],
    ["file:///home/ann", "an origin has no path, query or fragment: file://"],
    ["https://app.test:443", "browsers leave out the scheme's usual port: https://app.test"],
    ["http://app.test:80", "browsers leave out the scheme's usual port: http://app.test"],
    ["https://app.test:08443", "browsers send it as https://app.test:8443"],
    [
      "https://b\u00fccher.test",
      "browsers send a name in ASCII, as DNS has it: https://xn--bcher-kva.test",
    ],
    ["https://ann:pw@app.test", "it names a user"],
    ["app.test", "it does not begin with a scheme and '://': https://app.test"],
    ["tauri:localhost", "it does not begin with a scheme and '://'"],
    ["data:text/html,x", "pages of this kind send null"],
    ["https://", "it is no URL"],
    ["https://*.acme.com", "the star needs a letter or digit beside it in its label"],
    ["https://app.*.acme.com", "the star is not in the first label of the host name"],
    ["https://app-*.com", "anybody can register such a name under com"],
    ["https://app-*.co.uk", "anybody can register such a name under co.uk"],
    ["https://app-*.com.", "the host name ends with a dot"],
    ["https://app-*.a..b", NO_LABEL],
    ["https://app*.-.x", NO_LABEL],
    ["https://app-*-*.acme.com", "it has more than one star"],
    ["http://app-*.acme.com", "a star is for https alone"],
    ["https://App-*.acme.com", "browsers send it in small letters"],
    ["https://app-*.acme.com:443", "browsers leave out the scheme's usual port"],
    ["https://app-*.b\u00fccher.test", "browsers send a name in ASCII, as DNS has it"],
    ["https://app-*.acme.com/", "an origin has no path, query or fragment, nor a slash at its end"],
  ])("such as '%s' is told what is wrong with it", async (origin, why) => {
    const { message, cure } = await refusal('"https://app.acme.com"', JSON.stringify(origin));
    expect(message).toMatch(/^tenants\.acme\.origins\.0: must be an exact origin/);
    expect(message.endsWith(`: no path: ${why}`), message).toBe(true);
    expect(cure).toMatch(/^write out each origin/);
  });

  it("with a password is not repeated", async () => {
    const { message } = await refusal('"https://app.acme.com"', '"https://ann:pw-77@app.test/"');
    expect(message).not.toContain("pw-77");
  });
});
