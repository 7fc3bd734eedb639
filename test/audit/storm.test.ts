// Fifty clicks on one Stop button, each with a read of the run before it that takes as long as it takes.
import { describe, expect, it } from "vitest";
import { ADA, ANN, createHarness, GIA, GUS, type Person } from "../support/harness.ts";

const CLICKS = 50;
const LONGEST_READ_MS = 300;

/** The state is sampled at once, and told late: what a click knows of the run may be long untrue. */
function slowReads(upstream: typeof fetch): typeof fetch {
  return async (input, init) => {
    const reply = await upstream(input, init);
    if ((init?.method ?? "GET") === "GET" && !String(input).includes("/simulator/")) {
      await scheduler.wait(Math.random() * LONGEST_READ_MS);
    }
    return reply;
  };
}

describe("fifty simultaneous cancels of one run, whose reads are late at random", () => {
  it.each<[string, "startRun" | "startResponse", Person, Person]>([
    ["that winds down", "startRun", ANN, ADA],
    ["that is cancelled at once", "startResponse", GUS, GIA],
  ])("%s: one cancel upstream, one Run, fifty events", async (_, start, person, auditor) => {
    const gateway = await createHarness({ network: slowReads });
    const ids = await gateway[start]({ timing: { cancelling_ms: 60_000 } });
    const token = await gateway.tokenFor(person);
    const replies = await Promise.all(
      Array.from({ length: CLICKS }, () => gateway.cancel(ids, token)),
    );
    const bodies = await Promise.all(replies.map((reply) => reply.text()));

    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(bodies).size).toBe(1);
    const cancels = (await gateway.calls()).filter(({ path }) => path.endsWith("/cancel"));
    expect(cancels).toHaveLength(1);
    const { data } = await gateway.events(await gateway.tokenFor(auditor));
    expect(data.map(({ seq }) => seq).toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual(
      Array.from({ length: CLICKS }, (_, index) => index + 1),
    );
    expect(data.filter(({ outcome }) => outcome?.attempts === 1)).toHaveLength(1);
  });
});
