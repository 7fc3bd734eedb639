// The `curl` of the API page that the project was created from, with host and token changed.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type BlackBox, startBlackBox } from "./support/black-box.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

const KEYS =
  `id assistant_id cancelled_at completed_at created_at expires_at failed_at incomplete_details
  instructions last_error max_completion_tokens max_prompt_tokens metadata model object
  parallel_tool_calls required_action response_format started_at status thread_id tool_choice tools
  truncation_strategy usage temperature top_p`.split(/\s+/);

let upstream: Upstream;
let gateway: BlackBox;
beforeAll(async () => {
  upstream = await startUpstream();
  const { config, secrets } = upstream;
  gateway = await startBlackBox({ config, secrets });
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

it("answers the seed page's curl with exactly the 27 keys", async () => {
  const { threadId, runId } = await upstream.startRun("ann");
  const token = await upstream.token({ sub: "ann", tenant: "acme", scope: "runs:cancel" });
  const { stdout } = await promisify(execFile)("curl", [
    `${gateway.origin}/v1/threads/${threadId}/runs/${runId}/cancel`,
    ...["-X", "POST"],
    ...["-H", "OpenAI-Beta: assistants=v2"],
    ...["-H", `Authorization: Bearer ${token}`],
    ...["--silent", "--write-out", "\n%{http_code}"],
  ]);
  const [body = "", status] = stdout.split("\n");
  expect(status).toBe("200");
  expect(Object.keys(JSON.parse(body)).sort()).toEqual(KEYS.sort());
});
