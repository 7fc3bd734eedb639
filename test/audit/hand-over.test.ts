// Two people press Stop; one wants to wait for the run's end, the other does not.
import { describe, expect, it } from "vitest";
import { ADA, ANN, createHarness } from "../support/harness.ts";

/** Longer than any test runs: only a result that is handed over early can be here before. */
const TIMING = { run_ms: 600_000, cancelling_ms: 3_000 };

describe("a cancel that waits for the run's end", () => {
  it("keeps nobody waiting who joined it", async () => {
    let finishedAt = Number.POSITIVE_INFINITY;
    let answeredAt = 0;
    let clock = 0;
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: TIMING });
    const token = await gateway.tokenFor(ANN);
    // Until both are in the ledger: the cancel itself takes a while.
    await gateway.fault({
      match: { method: "POST", path: `${ids.run}/cancel$` },
      reply: { apply: true, delay_ms: 500 },
    });
    const waiting = gateway.cancel(ids, token, { headers: { prefer: "wait=20" } }).then((reply) => {
      finishedAt = ++clock;
      return reply;
    });
    while (!(await gateway.calls()).some(({ path }) => path.endsWith(`${ids.run}/cancel`))) {
      await scheduler.wait(5);
    }
    const joined = gateway.cancel(ids, token).then((reply) => {
      answeredAt = ++clock;
      return reply;
    });
    const [first, second] = await Promise.all([waiting, joined]);

    expect(answeredAt).toBeLessThan(finishedAt);
    expect([first, second].map(({ headers }) => headers.get("cancel-outcome"))).toEqual([
      "cancelled",
      "cancelling",
    ]);
    const cancels = (await gateway.calls()).filter(({ path }) => path.endsWith("/cancel"));
    expect(cancels).toHaveLength(1);
    const { data } = await gateway.events(await gateway.tokenFor(ADA));
    const [leader, follower] = data.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    expect(leader?.outcome).toMatchObject({ result: "cancelled", joined: null });
    expect(follower?.outcome).toMatchObject({ result: "cancelling", joined: leader?.id });
  });
});
