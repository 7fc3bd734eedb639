// The closed table of refusals against the design's: each code, its status, and who may try again.
import { describe, expect, it } from "vitest";
import { asRefusal, FAILURES, type Reason, Refusal } from "../src/failure.ts";

/** The table of the design, §2, and `not_found`, its word for an address that is none. */
const DESIGN: Readonly<Record<number, readonly Reason[]>> = {
  400: ["invalid_request", "run_not_cancellable", "reason_required"],
  401: ["missing_token", "invalid_token"],
  403: ["insufficient_scope", "tenant_not_allowed", "policy_denied"],
  404: ["run_not_found", "not_found"],
  405: ["method_not_allowed"],
  413: ["payload_too_large"],
  415: ["unsupported_media_type"],
  429: ["rate_limited", "upstream_rate_limited"],
  500: ["internal_error"],
  501: ["unsupported_by_upstream"],
  502: [
    "upstream_error",
    "upstream_unreachable",
    "upstream_rejected_credentials",
    "upstream_retired",
  ],
  503: ["identity_unavailable", "audit_unavailable", "config_invalid", "overloaded"],
  504: ["upstream_timeout", "outcome_unknown"],
};
const WORTH_ANOTHER_TRY: readonly Reason[] = [
  "rate_limited",
  "upstream_rate_limited",
  "identity_unavailable",
  "audit_unavailable",
  "overloaded",
];

describe("the table of refusals", () => {
  it("has the design's codes with the design's statuses, and no others", () => {
    const byStatus = Object.entries(DESIGN).flatMap(([status, codes]) =>
      codes.map((code) => [code, Number(status)]),
    );
    const actual = Object.entries(FAILURES).map(([code, { status }]) => [code, status]);
    expect(Object.fromEntries(actual)).toEqual(Object.fromEntries(byStatus));
  });

  it("is final for all but what another try may mend", () => {
    const open = Object.entries(FAILURES).filter(([, { final }]) => !final);
    expect(open.map(([code]) => code).sort()).toEqual([...WORTH_ANOTHER_TRY].sort());
  });

  it("says each in whole sentences of its own", () => {
    const messages = Object.values(FAILURES).map(({ message }) => message);
    expect(new Set(messages).size).toBe(messages.length);
    for (const message of messages) expect(message).toMatch(/^[A-Z].+[.}]$/);
  });
});

describe("anything else that is thrown", () => {
  it.each<[unknown, string]>([
    [new RangeError("a secret"), "RangeError"],
    ["a secret", "not an error"],
    [null, "not an error"],
    [{ message: "a secret" }, "not an error"],
  ])("is an internal error that keeps no message: %s", (thrown, detail) => {
    const { reason, message } = asRefusal(thrown);
    expect({ reason, message }).toEqual({
      reason: "internal_error",
      message: `internal_error: ${detail}`,
    });
  });

  it("unlike a refusal, which stays itself", () => {
    const refusal = new Refusal("overloaded");
    expect(asRefusal(refusal)).toBe(refusal);
  });
});
