// What an upstream is to the gateway: facts. No fetch, no config, no key; `call.ts` does the I/O.
import type * as z from "zod";
import type { ResponseObject } from "../runs/response.ts";
import type { Run } from "../runs/run.ts";

/**
 * What every id of a thread, a run or a response matches. They are opaque: LiteLLM's have colons, 465
 * characters and an `=` at the end. Dots alone would lead to another place (RFC 3986 §5.2.4).
 */
export const ID = /^(?!\.+$)[A-Za-z0-9_.:=+-]{1,1024}$/;

/** The run a request is about. Ids match `ID`. */
export interface Target {
  /** Null where the caller named the run alone, as the Responses API has it. */
  readonly threadId: string | null;
  readonly runId: string;
}

/** The members of a config's upstream entry that only its kind has, after the schema. */
export type UpstreamOptions = Readonly<Record<string, string | undefined>>;

/** A request as an adapter states it: path segments below the base URL, unencoded. */
export interface UpstreamRequest {
  readonly method: "GET" | "POST";
  readonly path: readonly (string | null)[];
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** What came back, read within its bounds. */
export interface Reply {
  readonly status: number;
  /** The parsed JSON, or undefined when it was none. */
  readonly body: unknown;
  /** The beginning of the body as it came, to recognise texts that are not JSON. Never relayed, never logged. */
  readonly text: string;
  /** Scheme, host and port that answered. */
  readonly origin: string;
}

/** What a reply means where its status alone does not tell. */
export type Meaning =
  /** The cancel was taken, whatever the status says. */
  | "accepted"
  /** A cancel that only the run's state explains: it has ended, or is about to. */
  | "refused_by_state"
  /** The run or its thread does not exist. */
  | "run_not_found"
  /** The key is no good, though the status is neither 401 nor 403. */
  | "upstream_rejected_credentials"
  /** The API itself is gone. */
  | "upstream_retired"
  /** This server does not know how to. */
  | "unsupported_by_upstream";

/** What the gateway knows about the run besides the reply. */
export interface RunContext extends Target {
  /** When a cancel of this run was accepted, now or earlier, in Unix seconds; null when never. */
  readonly cancelledAt: number | null;
  /** When one was sent that may have been taken, though nobody said so: proves nothing by itself. */
  readonly sentAt?: number | null;
  /** What `alongside` was answered; undefined where there is no such thing. */
  readonly alongside?: unknown;
}

export interface Upstream {
  /** The `kind` of the config. */
  readonly kind: string;
  /** The config members that only this kind has. */
  readonly options: Readonly<Record<string, z.ZodType<string | undefined>>>;
  /** The header that carries the key, and what stands before the key in it. */
  credential(options: UpstreamOptions): { readonly header: string; readonly prefix: string };
  /** Further headers of every request. */
  headers(options: UpstreamOptions): Readonly<Record<string, string>>;
  /** Milliseconds for everything that one cancel takes: some servers answer only once they have wound down. */
  readonly deadlineMs: number;

  cancel(target: Target, options: UpstreamOptions): UpstreamRequest;
  read(target: Target, options: UpstreamOptions): UpstreamRequest;
  /** Another object that says of the run what its own does not; read at the same time. */
  readonly alongside?: (target: Target, options: UpstreamOptions) => UpstreamRequest;
  /** How a thread's runs are found; absent where the upstream has no list of them. */
  readonly list?: RunList;

  /**
   * The object itself does not tell that, or when, it was cancelled; the ledger has to remember it
   * and hand it over as `RunContext.cancelledAt`.
   */
  readonly forgetsCancel: boolean;
  /**
   * A cancel of a run that is not on the thread in its path is refused. Where it is not, a caller who may
   * stop a thread's runs could stop any, so the thread is read off the run before a cancel is sent.
   */
  readonly cancelChecksThread: boolean;
  /** A cancel that was sent without a look at the run could do harm. */
  readsFirst(options: UpstreamOptions): boolean;
  /** A cancel names no run: it hits whichever of the thread is active. */
  readonly hitsActiveRun: boolean;
  /**
   * A cancel that worked answers with a run that has ended, or says that it is about to: one that answers
   * with a run that merely goes on has done nothing.
   */
  readonly answersWhenDone: boolean;
  /** A cancel that was taken need not be answered with the run: nothing, or a word that says so, will do. */
  readonly acknowledgesOnly: boolean;
  /** A second cancel, when the first may not have arrived, does no harm to anything else. */
  readonly repeatsCancel: boolean;
  /** A cancel deletes the run and what it has done: afterwards the upstream does not know it. */
  deletesRun(options: UpstreamOptions): boolean;
  /**
   * The word for the state of a run that was read is one that is known. Any other counts as running, unless a
   * cancel hits whichever run is active: then nothing is sent.
   */
  knowsState(body: unknown): boolean;
  /** Why a run that was read cannot be cancelled by anybody, in public words; null when it can. */
  readonly whyNot?: (body: unknown) => string | null;

  /**
   * The body of a reply about the run, under the id that was asked for: some servers make another for each
   * reply. Any other id stays an error.
   */
  asAsked(body: unknown, target: Target, options: UpstreamOptions): unknown;
  /**
   * What a reply, to a cancel or to a read, means here; null leaves it to its status, and to what all servers say
   * of a malformed id or of a 403.
   */
  meaning(reply: Reply): Meaning | null;
  /**
   * The body of a read, or of a cancel that answers with the run, as a Run. Throws
   * `Refusal("upstream_error")` when it is none, `Refusal("run_not_found")` when it is of another
   * thread.
   */
  toRun(body: unknown, context: RunContext): Run;
  /** The thread that the object itself says it is on. */
  threadOf(body: unknown): unknown;
  /** The pairs that the run's creator attached, before any trimming: proof of ownership. */
  metadata(body: unknown, alongside?: unknown): unknown;
  /**
   * The body of a read as OpenAI's `response`, for callers who speak the Responses API; absent where
   * the upstream does not. Throws `Refusal("upstream_error")`.
   */
  readonly toResponse?: (body: unknown, responseId: string) => ResponseObject;
}

/** One answer of a list, as far as it says whether, and where, the list goes on. */
export interface Page {
  readonly body: unknown;
  /** Entries that were asked for. */
  readonly size: number;
  /** Entries that came: here, and with those of the pages before. */
  readonly entries: number;
  readonly seen: number;
  /** The id of the last entry; undefined where it has none. */
  readonly lastId: string | undefined;
  /** Of the entries, those that may still move, and those that have ended. */
  readonly moving: number;
  readonly ended: number;
}

export interface RunList {
  /**
   * The lists of a thread's runs, each the newest first; those that may still move suffice. Each is asked for in
   * pages, by `limit`.
   */
  requests(threadId: string, options: UpstreamOptions): readonly UpstreamRequest[];
  /**
   * The `limit` of a page of `size` entries behind `seen` others. Default: `size`. A server that reads it as
   * length may then send more than `size`.
   */
  limit?(size: number, seen: number): number;
  /** The query that leads to the next page; null where there is none, or where nothing on it can still move. */
  next(page: Page): Readonly<Record<string, string>> | null;
  /** The objects in one answer, each as a read of the run would have it. Throws `Refusal("upstream_error")`. */
  runsIn(body: unknown): readonly unknown[];
  /** The run's id in such an object. */
  idOf(object: unknown): unknown;
}

/** What most upstreams are. */
export const USUAL = {
  cancelChecksThread: true,
  readsFirst: () => false,
  hitsActiveRun: false,
  answersWhenDone: false,
  acknowledgesOnly: false,
  repeatsCancel: true,
  deletesRun: () => false,
  knowsState: () => true,
  asAsked: (body: unknown): unknown => body,
} as const;

export const bearer = { header: "authorization", prefix: "Bearer " } as const;
