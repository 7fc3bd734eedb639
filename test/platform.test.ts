// What the gateway needs of its runtime, as wrangler.toml asks for it.
import { expect, it } from "vitest";

it("asks other Workers of the account from outside, and not past them", () => {
  expect(Cloudflare.compatibilityFlags["global_fetch_strictly_public"]).toBe(true);
});
