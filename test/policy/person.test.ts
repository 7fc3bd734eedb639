// Two issuers of one tenant: whose subjects are the names of owners, and who is one person with whom.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { BASE_KEY, tenantKey } from "../../src/config/kv-keys.ts";
import { baseOf, ConfigDocument } from "../../src/config/schema.ts";
import {
  ACME_ISSUER,
  ADA,
  createHarness,
  GLOBEX_ISSUER,
  type Harness,
  type Json,
  limitsOf,
  pathOf,
  type RunIds,
} from "../support/harness.ts";

const METADATA = { source: "metadata", tenant_key: "tenant", subject_key: "user" };
const REGISTRY = { source: "registry" };
const OWN = [
  { id: "owner", scopes: ["runs:cancel"], runs: "own" },
  { id: "support", scopes: ["runs:cancel:support"], runs: "tenant" },
];

/** Tokens of both issuers may name acme. */
function twoIssuers(ownership: Json, own: Json = {}): (config: Json) => Json {
  return (config) => {
    const [acme, globex] = config["issuers"] as Json[];
    const both = { claim: "org_id", allow: ["acme", "globex"] };
    const tenants = config["tenants"] as Record<string, Json>;
    return {
      ...config,
      issuers: [acme, { ...globex, tenant: both }],
      tenants: {
        acme: { ...tenants["acme"], rules: OWN, ownership, ...own },
        globex: { ...tenants["globex"], ownership: { source: "grant" } },
      },
    };
  };
}

const tokenOf = (
  gateway: Harness,
  issuer: "acme" | "globex",
  scope = "runs:cancel",
): Promise<string> => gateway.issuers[issuer].mint({ sub: "ann", tenant: "acme", scope });

const HMAC = { audit: { subject: "hmac" } };

describe("where tokens of two issuers reach a tenant", () => {
  const problemsOf = async (ownership: Json, rules: readonly Json[] = OWN): Promise<string[]> => {
    let document: Json = {};
    await createHarness({ config: (config) => (document = config) });
    const parsed = ConfigDocument.safeParse(twoIssuers(ownership, { rules })(document));
    return parsed.error?.issues.map(({ message }) => message) ?? [];
  };

  it.each([METADATA, REGISTRY])(
    "a config must say whose subjects name owners, by $source",
    async (ownership) => {
      expect(await problemsOf(ownership)).toEqual([
        expect.stringContaining("subject_issuers is missing"),
      ]);
      const named = { ...ownership, subject_issuers: [ACME_ISSUER] };
      expect(await problemsOf(named)).toEqual([]);
      const stranger = { ...ownership, subject_issuers: ["https://id.initech.test/"] };
      expect(await problemsOf(stranger)).toEqual([
        expect.stringContaining("no token of https://id.initech.test/"),
      ]);
    },
  );

  it("a config need not say it where no rule is for one's own runs, or no subject proves any", async () => {
    expect(await problemsOf(METADATA, OWN.slice(1))).toEqual([]);
    expect(await problemsOf({ source: "grant" })).toEqual([]);
  });

  it("a config that came to KV another way serves nobody of the tenant", async () => {
    const config = twoIssuers({ ...METADATA, subject_issuers: [ACME_ISSUER] });
    const gateway = await createHarness({ config });
    let document: Json = {};
    await createHarness({ config: (sample) => (document = config(sample)) });
    const { tenants, ...base } = ConfigDocument.parse(document);
    await env.CONFIG.put(BASE_KEY, JSON.stringify(baseOf({ ...base, tenants })));
    await env.CONFIG.put(
      tenantKey("acme"),
      JSON.stringify({ ...tenants["acme"], ownership: METADATA }),
    );
    const response = await gateway.cancel(
      { thread: "t", run: "r" },
      await tokenOf(gateway, "acme"),
    );
    expect(response.status).toBe(503);
    expect(gateway.lines.join("\n")).toContain("subject_issuers is missing");
  });
});

/** Says that the run is ann's, as the app's backend does, with a token of that issuer. */
async function register(gateway: Harness, ids: RunIds, issuer: "acme" | "globex" = "acme") {
  const response = await gateway.request(`${pathOf(ids)}/owner`, {
    method: "PUT",
    headers: {
      authorization: `Bearer ${await tokenOf(gateway, issuer, "runs:register")}`,
      "content-type": "application/json",
    },
    body: '{"subject":"ann"}',
  });
  expect(response.status).toBe(204);
}

describe.each([METADATA, REGISTRY])("the owner of a run, by $source", (ownership) => {
  async function started(subject_issuers: readonly string[]) {
    const gateway = await createHarness({ config: twoIssuers({ ...ownership, subject_issuers }) });
    const ids = await gateway.startRun({ owner: "ann" });
    if (ownership === REGISTRY) await register(gateway, ids);
    return { gateway, ids };
  }

  it("is the subject of the issuer that the config names, and of no other", async () => {
    const { gateway, ids } = await started([ACME_ISSUER]);
    expect((await gateway.cancel(ids, await tokenOf(gateway, "globex"))).status).toBe(404);
    expect(await gateway.cancelsSent()).toEqual([]);
    expect((await gateway.cancel(ids, await tokenOf(gateway, "acme"))).status).toBe(200);
  });

  it("is the tenant's for a supporter of either issuer", async () => {
    const { gateway, ids } = await started([ACME_ISSUER]);
    const token = await tokenOf(gateway, "globex", "runs:cancel:support");
    expect((await gateway.cancel(ids, token)).status).toBe(200);
  });

  it("is the same subject of all issuers that the config names", async () => {
    const { gateway, ids } = await started([ACME_ISSUER, GLOBEX_ISSUER]);
    expect((await gateway.cancel(ids, await tokenOf(gateway, "globex"))).status).toBe(200);
  });

  it("is told apart when a whole thread is stopped, too", async () => {
    const { gateway, ids } = await started([ACME_ISSUER]);
    const stop = async (issuer: "acme" | "globex"): Promise<number> => {
      const response = await gateway.request(`/v1/threads/${ids.thread}/cancel`, {
        method: "POST",
        headers: { authorization: `Bearer ${await tokenOf(gateway, issuer)}` },
      });
      return ((await response.json()) as { data: unknown[] }).data.length;
    };
    expect(await stop("globex")).toBe(0);
    expect(await gateway.cancelsSent()).toEqual([]);
    expect(await stop("acme")).toBe(1);
  });

  it("is told apart where the run cannot be understood, too", async () => {
    const rules = [{ id: "owner", scopes: ["runs:cancel"], runs: "own", max_age_seconds: 3_600 }];
    const config = twoIssuers({ ...ownership, subject_issuers: [ACME_ISSUER] }, { rules });
    const network = (simulator: typeof fetch): typeof fetch => {
      return async (input, init) => {
        const response = await simulator(input, init);
        const isRead = (init?.method ?? "GET") === "GET" && String(input).includes("/runs/");
        if (!isRead || response.status !== 200) return response;
        return Response.json({ ...(await response.json<Json>()), status: 7 });
      };
    };
    const gateway = await createHarness({ config, network });
    const ids = await gateway.startRun({ owner: "ann" });
    if (ownership === REGISTRY) await register(gateway, ids);
    const ends = [];
    for (const target of [ids, { ...ids, run: "run_unknown" }]) {
      const response = await gateway.cancel(target, await tokenOf(gateway, "globex"));
      ends.push([response.status, await response.text()]);
    }
    expect(ends[0]).toEqual(ends[1]);
    expect((await gateway.cancel(ids, await tokenOf(gateway, "acme"))).status).toBe(502);
  });

  it("is told apart when somebody asks why", async () => {
    const { gateway, ids } = await started([ACME_ISSUER]);
    const why = async (issuer: "acme" | "globex"): Promise<unknown> => {
      const response = await gateway.request("/v1/policy/explain", {
        method: "POST",
        headers: {
          authorization: `Bearer ${await tokenOf(gateway, issuer)}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ thread_id: ids.thread, run_id: ids.run }),
      });
      return ((await response.json()) as Json)["code"];
    };
    expect([await why("globex"), await why("acme")]).toEqual(["run_not_found", null]);
  });
});

describe("a person's pseudonym", () => {
  const lastTwo = async (gateway: Harness, ids: RunIds) => {
    const auditor = await gateway.tokenFor(ADA);
    const { data } = await gateway.events(auditor);
    return data.filter((event) => event.target.run_id === ids.run);
  };

  it("is the same as owner, whose backend has another issuer, and as actor", async () => {
    const ownership = { ...REGISTRY, subject_issuers: [ACME_ISSUER] };
    const gateway = await createHarness({ config: twoIssuers(ownership, HMAC) });
    const ids = await gateway.startRun();
    await register(gateway, ids, "globex");
    await gateway.cancel(ids, await tokenOf(gateway, "acme"));
    const [cancel, registered] = (await lastTwo(gateway, ids)) as unknown as [
      { actor: { sub: string } },
      { owner: string; actor: { sub: string } },
    ];
    expect(registered.owner).toMatch(/^hmac:/);
    expect(cancel.actor.sub).toBe(registered.owner);
    // The backend called itself ann, too, and is somebody else.
    expect(registered.actor.sub).not.toBe(registered.owner);
  });

  it("needs a config that says whose it is, also where no rule is for one's own runs", async () => {
    const config = twoIssuers(REGISTRY, { ...HMAC, rules: OWN.slice(1) });
    await expect(createHarness({ config })).rejects.toThrow("subject_issuers is missing");
  });

  it("is the same with tokens of all issuers that name the same people", async () => {
    const ownership = { ...METADATA, subject_issuers: [GLOBEX_ISSUER, ACME_ISSUER] };
    const gateway = await createHarness({ config: twoIssuers(ownership, HMAC) });
    const ids = await gateway.startRun({ owner: "ann" });
    await gateway.cancel(ids, await tokenOf(gateway, "acme"));
    await gateway.cancel(ids, await tokenOf(gateway, "globex"));
    const [second, first] = await lastTwo(gateway, ids);
    expect(first?.actor.sub).toMatch(/^hmac:/);
    expect(second?.actor.sub).toBe(first?.actor.sub);
    expect([first?.actor.iss, second?.actor.iss]).toEqual([ACME_ISSUER, GLOBEX_ISSUER]);
  });
});

describe("the rate of a person", () => {
  it.each([
    ["is each issuer's own", [ACME_ISSUER], 2],
    ["is one where both name the same people", [ACME_ISSUER, GLOBEX_ISSUER], 1],
  ] as const)("%s", async (_, subject_issuers, people) => {
    const asked = new Set<string>();
    const limits = limitsOf(() => ({
      limit: async ({ key }) => {
        asked.add(key);
        return { success: true };
      },
    }));
    const config = twoIssuers({ ...METADATA, subject_issuers }, { rate: "strict" });
    const gateway = await createHarness({ config, bindings: { limits } });
    for (const issuer of ["acme", "globex"] as const) {
      await gateway.read({ thread: "t", run: "r" }, await tokenOf(gateway, issuer));
    }
    expect(asked.size).toBe(people);
  });
});
