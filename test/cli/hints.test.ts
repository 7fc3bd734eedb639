// What lint adds to the schema's own sentence: the member that was meant, and what is wrong with an address.
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
