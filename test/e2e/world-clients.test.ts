// The table of clients, over HTTP against `npm start`: one gateway for all cases.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_SECRETS } from "../../dev/local/sample.ts";
import {
  CLIENT_CASES,
  type ClientCase,
  ORIGINS,
  PEOPLE,
  play,
  type World,
} from "../world/clients.ts";
import { type BlackBox, startBlackBox } from "./support/black-box.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

let upstream: Upstream;
let gateway: BlackBox;

beforeAll(async () => {
  upstream = await startUpstream();
  const { config, secrets } = upstream;
  const { acme, globex } = config.tenants;
  const tenants = {
    acme: { ...acme, origins: ORIGINS.acme },
    globex: { ...globex, origins: ORIGINS.globex },
  };
  gateway = await startBlackBox({ config: { ...config, tenants }, secrets });
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

const world: World = {
  send: (path, init) => fetch(`${gateway.origin}${path}`, init),
  token: (sender) => upstream.token(PEOPLE[sender]),
  startRun: async () => {
    const { threadId, runId } = await upstream.startRun("ann");
    return { thread: threadId, run: runId };
  },
  startResponse: async () => {
    const response = await fetch(`${upstream.origin}/responses/v1/responses`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${SAMPLE_SECRETS.UPSTREAM_KEY_GLOBEX}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({
        ...{ model: "gpt-5", input: "Say hello.", background: true },
        metadata: { tenant: "globex", user: "gus" },
      }),
    });
    return ((await response.json()) as { id: string }).id;
  },
};

const byRow = Map.groupBy(CLIENT_CASES, ({ row }) => row);

describe.each([...byRow])("clients: %s", (_, cases: ClientCase[]) => {
  it.each(cases)("$name", async (one) => {
    expect(await play(world, one)).toEqual(one.expected);
  });
});
