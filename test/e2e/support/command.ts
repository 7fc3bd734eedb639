// The operator's commands as an operator runs them: a process of its own.
import { spawn } from "node:child_process";
import { join } from "node:path";

const GATEWAY = join(import.meta.dirname, "../../../cli/gateway.ts");

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runGateway(...parameters: readonly string[]): Promise<Ran> {
  return await runGatewayWith({}, ...parameters);
}

export interface RunOptions {
  /** What is typed into it; it ends then. */
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export async function runGatewayWith(
  { stdin = "", env = {}, cwd }: RunOptions,
  ...parameters: readonly string[]
): Promise<Ran> {
  const child = spawn(process.execPath, [GATEWAY, ...parameters], {
    env: { ...process.env, NO_COLOR: "1", ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const heard = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk: Buffer) => {
      heard[name] += chunk.toString("utf8");
    });
  }
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, ...heard };
}
