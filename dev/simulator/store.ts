// What the simulator remembers: bounded maps in the memory of one isolate. Local use only: nothing
// survives a restart, and a deployed Worker with several isolates would lose half of it.
import type { Call } from "./calls.ts";
import type { Fault } from "./faults.ts";
import type { Life } from "./machine.ts";
import type { CreateResponse, CreateRun } from "./requests.ts";

/** A project is whoever holds the key: what one key created, another does not find. */
export interface Owned {
  readonly id: string;
  readonly project: string;
}

export interface ThreadRecord extends Owned {
  readonly createdMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface RunRecord extends Owned {
  readonly threadId: string;
  readonly request: CreateRun;
  readonly life: Life;
}

export interface ResponseRecord extends Owned {
  readonly request: CreateResponse;
  readonly life: Life;
}

export interface Store {
  readonly threads: Map<string, ThreadRecord>;
  readonly runs: Map<string, RunRecord>;
  readonly responses: Map<string, ResponseRecord>;
  readonly calls: Map<string, Call>;
  readonly faults: Fault[];
}

/** Enough for a benchmark of some minutes, and far below an isolate's 128 MB. */
const MOST_ENTRIES = 20_000;

export function createStore(): Store {
  return {
    threads: new Map(),
    runs: new Map(),
    responses: new Map(),
    calls: new Map(),
    faults: [],
  };
}

/** Adds or replaces; the oldest entries give way. */
export function remember<Value>(
  map: Map<string, Value>,
  id: string,
  value: Value,
  mostEntries = MOST_ENTRIES,
): void {
  map.set(id, value);
  for (const oldest of map.keys()) {
    if (map.size <= mostEntries) return;
    map.delete(oldest);
  }
}

/** What this project owns under that id. A stranger's is as absent as one that never was. */
export function ownedBy<Value extends Owned>(
  map: ReadonlyMap<string, Value>,
  project: string,
  id: string,
): Value | undefined {
  const value = map.get(id);
  return value?.project === project ? value : undefined;
}
