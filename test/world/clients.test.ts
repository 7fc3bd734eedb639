// The table of clients, in workerd through the front door.
import { describe, expect, it } from "vitest";
import { createHarness, withTenant } from "../support/harness.ts";
import { CLIENT_CASES, type ClientCase, ORIGINS, PEOPLE, play, type World } from "./clients.ts";

const gateway = await createHarness({
  config: (config) =>
    withTenant("acme", { origins: ORIGINS.acme })(
      withTenant("globex", { origins: ORIGINS.globex })(config),
    ),
});
const world: World = {
  send: (path, init) => gateway.request(path, init),
  token: (sender) => gateway.tokenFor(PEOPLE[sender]),
  startRun: () => gateway.startRun(),
  startResponse: async () => (await gateway.startResponse()).run,
};

const byRow = Map.groupBy(CLIENT_CASES, ({ row }) => row);

describe.each([...byRow])("clients: %s", (_, cases: ClientCase[]) => {
  it.each(cases)("$name", async (one) => {
    expect(await play(world, one)).toEqual(one.expected);
  });
});
