// The sample's simulator and a config over it, for tests that need an upstream and tokens.
import { SAMPLE_AUDIENCE, SAMPLE_SECRETS, sampleConfig } from "../../../dev/local/sample.ts";
import { freePort, type Server } from "../../../dev/local/server.ts";
import {
  type StartedRun,
  startRun,
  startSimulator,
  type TokenWish,
  tokenFrom,
} from "../../../dev/simulator/server.ts";
import { temporaryFolder } from "./black-box.ts";

export interface Upstream {
  readonly origin: string;
  readonly config: Awaited<ReturnType<typeof sampleConfig>>;
  readonly secrets: typeof SAMPLE_SECRETS;
  readonly token: (wish: TokenWish) => Promise<string>;
  /** A run of acme's, which ends by itself after `runMs`. */
  readonly startRun: (user: string, runMs?: number) => Promise<StartedRun>;
  readonly fault: (fault: unknown) => Promise<void>;
  readonly forgetFaults: () => Promise<void>;
  readonly calls: () => Promise<UpstreamCall[]>;
  readonly stop: () => Promise<void>;
}

export interface UpstreamCall {
  readonly method: string;
  readonly path: string;
  readonly status: number | null;
}

export async function startUpstream(): Promise<Upstream> {
  const folder = await temporaryFolder();
  const server: Server = await startSimulator(await freePort(), folder.path);
  const { origin } = server;
  const faults = `${origin}/simulator/faults`;
  return {
    origin,
    config: await sampleConfig(origin),
    secrets: SAMPLE_SECRETS,
    token: (wish) => tokenFrom(origin, wish, SAMPLE_AUDIENCE),
    startRun: (user, runMs = 60_000) =>
      startRun(origin, {
        key: SAMPLE_SECRETS.UPSTREAM_KEY_ACME,
        metadata: { tenant: "acme", user },
        runMs,
      }),
    fault: async (fault) => {
      const headers = { "content-type": "application/json" };
      const response = await fetch(faults, {
        method: "POST",
        headers,
        body: JSON.stringify(fault),
      });
      if (!response.ok) throw new Error(await response.text());
    },
    forgetFaults: async () => void (await fetch(faults, { method: "DELETE" })),
    calls: async () => (await (await fetch(`${origin}/simulator/calls`)).json()) as UpstreamCall[],
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}
