// The journey by its front door: a Stop click, and everything that may become of it.
import { describe, expect, it } from "vitest";
import { ADA, ANN, createHarness, GIA, GUS } from "./support/harness.ts";

describe("cancel", () => {
  it("cancels the owner's run and says what is true", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(response.status).toBe(200);
    expect(response.headers.get("cancel-outcome")).toBe("cancelling");
    const run: Record<string, unknown> = await response.json();
    expect(run).toMatchObject({ id: ids.run, thread_id: ids.thread, status: "cancelling" });
    expect(Object.keys(run)).toHaveLength(27);
    const { data } = await gateway.events(await gateway.tokenFor(ADA));
    expect(data).toHaveLength(1);
    expect(data[0]).toMatchObject({ seq: 1, type: "cancel", outcome: { result: "cancelling" } });
  });

  it("cancels a response, which is cancelled at once", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startResponse();
    const response = await gateway.cancel(ids, await gateway.tokenFor(GUS));
    expect(await response.clone().json()).toMatchObject({ id: ids.run, status: "cancelled" });
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    const { data } = await gateway.events(await gateway.tokenFor(GIA));
    expect(data[0]).toMatchObject({ seq: 1, type: "cancel", outcome: { result: "cancelled" } });
  });
});
