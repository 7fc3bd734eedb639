// What a case of the upstream table is: how a server answers, what is asked, what must come of it. Pure.

/** One answer. `body`: a text goes out as it is, anything else as JSON; absent: nothing. */
export interface WorldReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** An answer, or that the connection breaks. */
export type Step = WorldReply | "breaks";

/**
 * By method and path below the base URL, such as `GET /responses/resp_1`, without the query. Several answers
 * come in their order, and the last one from then on. What is not listed is not expected.
 */
export type Script = Readonly<Record<string, Step | readonly Step[]>>;

export type Source = "metadata" | "grant" | "credential" | "registry";

/** In a body, stands for the pairs that prove a run to be the caller's. */
export const OWN = "{own metadata}";

export interface Asked {
  readonly method: "GET" | "POST";
  readonly path: string;
}

export interface Expected {
  readonly status: number;
  /** The `code` of an error. */
  readonly code?: string;
  /** The header `cancel-outcome`. */
  readonly outcome?: string;
  /** Members of the answer. */
  readonly answer?: Readonly<Record<string, unknown>>;
  /** Requests other than GET that reached the upstream. */
  readonly cancels: number;
  /** GETs that reached the upstream. */
  readonly reads?: number;
  /** Of the newest event of the tenant: its type, the code of its refusal, how it ended. */
  readonly event?: {
    readonly type?: string;
    readonly code?: string | null;
    readonly result?: string | null;
  };
  /** The header `retry-after`. */
  readonly retryAfter?: string;
  /** Texts that the log must have. */
  readonly logs?: readonly string[];
  /** Texts that must be neither in the answer, nor in an event, nor in the log. */
  readonly hides?: readonly string[];
}

export interface WorldCase {
  /** The row of the issue: `U1`. */
  readonly row: string;
  readonly name: string;
  /** The upstream's entry in the config, without its `base_url`. */
  readonly upstream: Readonly<Record<string, string>> & { readonly kind: string };
  readonly ownership: Source;
  /** Members of the tenant over the usual ones. */
  readonly tenant?: Readonly<Record<string, unknown>>;
  /** The upstream keys: the first is sent, the second when the first is refused. */
  readonly keys?: readonly string[];
  /** With `grant`: what the token grants, in place of the run on its thread. */
  readonly grants?: readonly { readonly thread_id: string; readonly run_id?: string }[];
  /** With `registry`: the run that is registered as the caller's; null: none. In place of the one that is asked for. */
  readonly registered?: { readonly threadId: string; readonly runId: string } | null;
  readonly script: Script;
  readonly asked: Asked;
  readonly expected: Expected;
  /** What is asked afterwards, and what must come of that. */
  readonly afterwards?: { readonly asked: Asked; readonly expected: Expected };
}

export const stop = (thread: string, run: string): Asked => ({
  method: "POST",
  path: `/v1/threads/${thread}/runs/${run}/cancel`,
});
export const look = (thread: string, run: string): Asked => ({
  method: "GET",
  path: `/v1/threads/${thread}/runs/${run}`,
});
export const stopThread = (thread: string): Asked => ({
  method: "POST",
  path: `/v1/threads/${thread}/cancel`,
});
export const stopResponse = (id: string): Asked => ({
  method: "POST",
  path: `/v1/responses/${id}/cancel`,
});
