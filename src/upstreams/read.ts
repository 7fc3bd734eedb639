// Reads one run: the proof of ownership before a cancel, the truth after it. Sends nothing but GETs.
import { asRefusal, Refusal } from "../failure.ts";
import { normaliseRun } from "../runs/normalise.ts";
import { isTerminal, type Run, type RunStatus } from "../runs/run.ts";
import { type CallTools, type Connection, call, isKeyRefused, type UpstreamReply } from "./call.ts";
import { member } from "./json.ts";
import { forbiddenBy, isMalformedId, isOfRoute, problemIn } from "./problem.ts";
import { UnreadBody } from "./room.ts";
import type { Meaning, Reply, RunContext, Target, Upstream, UpstreamRequest } from "./upstream.ts";

const READ_TIMEOUT_MS = 4_000;
const NO_METHOD = "The tenant's upstream says that it does not have this method.";

export interface UpstreamTools extends CallTools {
  readonly sleep: (ms: number) => Promise<void>;
  /** At least 0, less than 1. For jitter only. */
  readonly random: () => number;
  /** When everything has to be over, in milliseconds since the epoch. */
  readonly endsAt: number;
  /** When the ledger remembers a cancel of the run, in Unix seconds. Asked only where needed. */
  readonly recall: (target: Target) => Promise<number | null>;
}

/** A run as it was read. */
export interface ReadRun {
  readonly run: Run;
  /** The object as the upstream answered it, where it is needed; else null. Not for clients. */
  readonly body: unknown;
  /** How large the reply was. */
  readonly bytes: number;
  /** The pairs that its creator attached. */
  readonly metadata: unknown;
  /** What kept the other object from being read, where the pairs are there; null when nothing did. */
  readonly unproved: Refusal | null;
  /** The thread that the upstream says it is on, where it says so. */
  readonly thread: unknown;
  /** When a cancel of it was taken, as far as the gateway knows, in Unix seconds. */
  readonly cancelledAt: number | null;
  /** The upstream has deleted it, as its cancel does there; what is shown is the gateway's own. */
  readonly isDeleted: boolean;
  /** How long the upstream asks to be left alone. */
  readonly retryAfterSeconds: number | undefined;
}

/** What proves whose a run is: read before anything else of the object is judged. */
export type FoundRun = Pick<ReadRun, "metadata" | "thread" | "unproved"> & {
  /** The run; or why it cannot be shown to anybody, which only its owner may learn. */
  readonly read: ReadRun | Refusal;
};

/**
 * The run as it stands, for a caller who did not just cancel it. Throws `Refusal`: `run_not_found`
 * when the upstream does not know it, otherwise what kept it from being read.
 */
export async function readUpstreamRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
): Promise<ReadRun> {
  return readable(await findUpstreamRun(tools, connection, target));
}

/**
 * The run, for a caller who has yet to prove that it is theirs. Throws as `readUpstreamRun`, but for a run that was
 * found and makes no sense.
 */
export async function findUpstreamRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
): Promise<FoundRun> {
  const [cancelledAt, replies] = await Promise.all([
    recalled(tools, connection, target),
    requestRun(tools, connection, target),
  ]);
  return interpret(connection, replies, { ...target, cancelledAt });
}

function readable({ read }: FoundRun): ReadRun {
  if (read instanceof Refusal) throw read;
  return read;
}

/** The answer was a run that is larger than what is read: only a run that is there can be. */
export function isTooLarge(refusal: Refusal): boolean {
  return refusal instanceof UnreadBody && refusal.reason === "upstream_error";
}

/** When the ledger remembers a cancel of the run, where only the ledger does, in Unix seconds. */
export async function recalled(
  { recall }: UpstreamTools,
  { adapter }: Connection,
  target: Target,
): Promise<number | null> {
  return adapter.forgetsCancel ? await recall(target) : null;
}

/**
 * The run as a reader should see it: one that still moves after a cancel was taken is on its way to
 * its end. Only for showing: who presses Stop again goes by what the upstream says.
 */
export function shown({ run, cancelledAt }: ReadRun): Run {
  return cancelledAt !== null && !isTerminal(run.status) ? windingDown(run) : run;
}

/** A run whose cancel was taken and that still moves: there is nothing left for anyone to do about it. */
export function windingDown(run: Run): Run {
  return { ...run, status: "cancelling", required_action: null, cancelled_at: null, usage: null };
}

/** The run as it stands, with what this very request knows of a cancel. Throws as `readUpstreamRun`. */
export async function fetchRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  known: Pick<RunContext, "cancelledAt" | "sentAt">,
): Promise<ReadRun> {
  const replies = await requestRun(tools, connection, target);
  return readable(interpret(connection, replies, { ...target, ...known }));
}

/** `ms` from now, or when everything has to be over. */
export function bounded({ now, endsAt }: UpstreamTools, ms: number): AbortSignal {
  return AbortSignal.timeout(Math.max(Math.min(ms, endsAt - now()), 0));
}

interface Replies {
  readonly own: UpstreamReply;
  /** Null where there is no such object. */
  readonly alongside: UpstreamReply | Refusal | null;
}

async function requestRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
): Promise<Replies> {
  const { adapter, options } = connection;
  const signal = bounded(tools, READ_TIMEOUT_MS);
  const other = adapter.alongside?.(target, options);
  const [own, alongside] = await Promise.all([
    call(tools, connection, adapter.read(target, options), signal),
    other === undefined ? null : readBeside(tools, connection, other, signal),
  ]);
  return { own, alongside };
}

/** The run as a list shows it, where that is all there is to a read. Throws as `readUpstreamRun`. */
export function readFromList({ adapter }: Connection, body: unknown, target: Target): ReadRun {
  return {
    run: adapter.toRun(body, { ...target, cancelledAt: null }),
    body: needsBody(adapter, target) ? body : null,
    bytes: 0,
    metadata: adapter.metadata(body),
    unproved: null,
    thread: adapter.threadOf(body),
    cancelledAt: null,
    isDeleted: false,
    retryAfterSeconds: undefined,
  };
}

/** A Run is all that most callers see, and the object behind it may be large; some cancels depend on it. */
function needsBody({ whyNot, hitsActiveRun }: Upstream, { threadId }: Target): boolean {
  return threadId === null || whyNot !== undefined || hitsActiveRun;
}

/** A larger object than this is not held while others are waited for: it is read again. */
export const HELD_BYTES = 64 * 1_024;

/** The run without an object that only its answer needs, and that is too large to be held for long. */
export function withoutLargeBody(read: ReadRun, { threadId }: Target): ReadRun {
  return threadId === null && read.bytes > HELD_BYTES ? { ...read, body: null } : read;
}

/** What the run itself says is worth something without it. */
async function readBeside(
  tools: UpstreamTools,
  connection: Connection,
  request: UpstreamRequest,
  signal: AbortSignal,
): Promise<UpstreamReply | Refusal> {
  const reply = await call(tools, connection, request, signal).catch(asRefusal);
  if (reply instanceof Refusal || reply.status < 300) return reply;
  return refusalFor(connection, reply);
}

/** Throws `Refusal` for what is no run at all. */
function interpret(
  connection: Connection,
  { own, alongside }: Replies,
  context: RunContext,
): FoundRun {
  const { adapter, options } = connection;
  if (own.status >= 300) {
    const refusal = refusalFor(connection, own);
    const cancelledAt = context.cancelledAt ?? context.sentAt ?? null;
    const isDeleted = refusal.reason === "run_not_found" && adapter.deletesRun(options);
    if (cancelledAt === null || !isDeleted) throw refusal;
    const read = deletedRun({ ...context, cancelledAt });
    return { ...read, read };
  }
  const body = adapter.asAsked(own.body, context, options);
  const other = alongside instanceof Refusal ? undefined : alongside?.body;
  const proof = {
    metadata: adapter.metadata(body, other),
    unproved: alongside instanceof Refusal ? alongside : null,
    thread: adapter.threadOf(body),
  };
  try {
    const read = {
      ...proof,
      run: adapter.toRun(body, { ...context, alongside: other }),
      body: needsBody(adapter, context) ? body : null,
      bytes: own.bytes,
      cancelledAt: context.cancelledAt,
      isDeleted: false,
      retryAfterSeconds: own.retryAfterSeconds,
    };
    return { ...proof, read };
  } catch (error) {
    if (!saysSomethingOfRun(body)) throw error;
    return { ...proof, read: asRefusal(error) };
  }
}

/** A web page, an empty object or an error under status 200 says nothing of any run. */
function saysSomethingOfRun(body: unknown): boolean {
  return ["id", "run_id", "status"].some((name) => member(body, name) !== undefined);
}

/** A whole Run of all that is known of one that could not be read. */
export function unseenRun(target: Target, status: RunStatus): Run {
  const { threadId, runId } = target;
  return normaliseRun({ id: runId, thread_id: threadId, status }, target);
}

/** All that is left of a run whose cancel was taken where that deletes it. */
function deletedRun(context: Target & { readonly cancelledAt: number }): ReadRun {
  const { threadId, runId, cancelledAt } = context;
  const left = { id: runId, thread_id: threadId, status: "cancelled", cancelled_at: cancelledAt };
  const run = normaliseRun(left, context);
  return {
    run,
    body: null,
    bytes: 0,
    metadata: null,
    unproved: null,
    thread: undefined,
    cancelledAt,
    isDeleted: true,
    retryAfterSeconds: undefined,
  };
}

/** What a reply means where its status alone does not tell, by the adapter or by what all servers say. */
export function meaningOf({ adapter }: Pick<Connection, "adapter">, reply: Reply): Meaning | null {
  const own = adapter.meaning(reply);
  const { status } = reply;
  if (own !== null || status < 400) return own;
  if (status === 410 || isMalformedId(status, problemIn(reply))) return "run_not_found";
  if (status !== 403) return null;
  const forbidden = forbiddenBy(reply);
  if (forbidden === "state") return "refused_by_state";
  return forbidden === "run" ? "run_not_found" : null;
}

/** What a reply that is no success means to the caller. None of its text goes any further. */
export function refusalFor(connection: Connection, reply: UpstreamReply): Refusal {
  const detail = `the upstream answered ${reply.status}`;
  const meaning = meaningOf(connection, reply);
  if (meaning === "unsupported_by_upstream" || (meaning === null && reply.status === 501)) {
    return new Refusal("unsupported_by_upstream", { detail, words: NO_METHOD });
  }
  if (meaning !== null && meaning !== "accepted" && meaning !== "refused_by_state") {
    return new Refusal(meaning, { detail });
  }
  if (isKeyRefused(connection, reply)) {
    return new Refusal("upstream_rejected_credentials", { detail });
  }
  const { retryAfterSeconds } = reply;
  if (reply.status === 429) {
    return new Refusal("upstream_rate_limited", {
      detail,
      retryAfterSeconds: retryAfterSeconds ?? 1,
    });
  }
  const forbidden = reply.status === 403 ? forbiddenBy(reply) : "key";
  const why = typeof forbidden === "string" ? "" : `: ${forbidden.because}`;
  return new Refusal("upstream_error", { detail: `${detail}${why}`, retryAfterSeconds });
}

/** What the refusal of a cancel means, of a run that a read has shown to go on. */
export function cancelRefusalFor(connection: Connection, reply: UpstreamReply): Refusal {
  const refusal = refusalFor(connection, reply);
  const { status } = reply;
  const detail = `the upstream answered ${status} to the cancel of a run that goes on`;
  const isUnfound = refusal.reason === "upstream_error" && (status === 404 || status === 405);
  if (refusal.reason !== "run_not_found" && !isUnfound) return refusal;
  if (isOfRoute(status, problemIn(reply))) {
    return new Refusal("unsupported_by_upstream", { detail, words: NO_METHOD });
  }
  return new Refusal("upstream_error", { detail });
}
