// What an upstream is to the gateway: facts. No fetch, no config, no key; `call.ts` does the I/O.
import type * as z from "zod";
import type { Run } from "../runs/run.ts";

/** The run a request is about. Both ids match `^[A-Za-z0-9_-]{1,128}$`. */
export interface Target {
  readonly threadId: string;
  readonly runId: string;
}

/** The members of a config's upstream entry that only its kind has, after the schema. */
export type UpstreamOptions = Readonly<Record<string, string | undefined>>;

/** A request as an adapter states it: path segments below the base URL, unencoded. */
export interface UpstreamRequest {
  readonly method: "GET" | "POST";
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string>>;
}

/** What came back, read within its bounds. */
export interface Reply {
  readonly status: number;
  /** The parsed JSON, or undefined when it was none. */
  readonly body: unknown;
  /** The body as it came, to recognise texts that are not JSON. Never relayed, never logged. */
  readonly text: string;
  /** Scheme, host and port that answered. */
  readonly origin: string;
}

/** What the gateway knows about the run besides the reply. */
export interface RunContext extends Target {
  /** When a cancel of this run was accepted, now or earlier, in Unix seconds; null when never. */
  readonly cancelledAt: number | null;
}

export interface Upstream {
  /** The `kind` of the config. */
  readonly kind: string;
  /** The config members that only this kind has. */
  readonly options: Readonly<Record<string, z.ZodType<string | undefined>>>;
  /** The header that carries the key, and what stands before the key in it. */
  readonly credential: { readonly header: string; readonly prefix: string };
  /** Further headers of every request. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The object itself does not tell that, or when, it was cancelled; the ledger has to remember it
   * and hand it over as `RunContext.cancelledAt`.
   */
  readonly forgetsCancel: boolean;
  /** Milliseconds for all attempts of one cancel together: some servers answer only once they have wound down. */
  readonly deadlineMs: number;

  cancel(target: Target, options: UpstreamOptions): UpstreamRequest;
  read(target: Target, options: UpstreamOptions): UpstreamRequest;

  /** A refused cancel that only the run's state explains: already terminal, already cancelling. */
  isStateRefusal(reply: Reply): boolean;
  /** The reply says that the run or its thread does not exist. */
  isUnknownRun(reply: Reply): boolean;
  /** The reply says that the API itself is gone. */
  isRetired(reply: Reply): boolean;

  /**
   * The body of a read, or of a cancel that answers with the run, as a Run. Throws
   * `Refusal("upstream_error")` when it is none, `Refusal("run_not_found")` when it is of another
   * thread.
   */
  toRun(body: unknown, context: RunContext): Run;
  /**
   * A cancel of a run that is not on the thread in its path is refused. Where it is not, who may
   * stop a thread's runs could stop any, so the thread has to be read off the run first.
   */
  readonly cancelChecksThread: boolean;
  /** The thread that the object itself says it is on. */
  threadOf(body: unknown): unknown;
  /** The pairs that the run's creator attached, before any trimming: proof of ownership. */
  metadata(body: unknown): unknown;
}
