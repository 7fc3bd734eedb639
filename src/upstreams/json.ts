// Small readings that adapters share: members of unknown JSON, error texts, parts of a Run. Pure.
import { Refusal } from "../failure.ts";
import type { Page } from "./upstream.ts";

/** The member of that name, when `value` is an object that has it itself. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The entries of a list, bare or as the `data` of OpenAI's. Throws `Refusal("upstream_error")`. */
export function entries(body: unknown): readonly unknown[] {
  const list = Array.isArray(body) ? body : member(body, "data");
  if (!Array.isArray(list)) throw new Refusal("upstream_error", { detail: "no list of runs" });
  return list;
}

/** The next page of OpenAI's lists: behind the last entry, as long as there is more. */
export function behindLast({ body, lastId, entries: came, size }: Page) {
  const more = member(body, "has_more") ?? came >= size;
  return more === true && lastId !== undefined ? { after: lastId } : null;
}

/**
 * As `behindLast`, until nothing on a page can still move and the page shows that older ones follow: some servers
 * do not know the order that they are asked for.
 */
export function behindMoving(page: Page) {
  const isOver = page.moving === 0 && page.ended > 0 && isNewestFirst(entries(page.body));
  return isOver ? null : behindLast(page);
}

/** One alone has no order, and is asked for only where the runs are so large that each page costs much. */
function isNewestFirst(objects: readonly unknown[]): boolean {
  const times = objects.map((object) => member(object, "created_at"));
  const [first] = times;
  const last = times.at(-1);
  const areSorted = times.every((time, at) => {
    const before = at === 0 ? time : times[at - 1];
    return typeof time === "number" && typeof before === "number" && time <= before;
  });
  return times.length === 1 || (areSorted && Number(last) < Number(first));
}

/** A function that the model may call, of flat members, as a Run's tool. */
export function functionTool(tool: unknown): unknown {
  return {
    type: "function",
    function: {
      name: member(tool, "name"),
      description: member(tool, "description"),
      parameters: member(tool, "parameters"),
      strict: member(tool, "strict"),
    },
  };
}

/** Calls that wait for their outputs, each with its id under `idMember`; `normaliseRun` makes a text of the arguments. */
export function requiredCalls(calls: readonly unknown[], idMember: string): unknown {
  if (calls.length === 0) return null;
  const tool_calls = calls.map((call) => ({
    id: member(call, idMember),
    type: "function",
    function: { name: member(call, "name"), arguments: member(call, "arguments") },
  }));
  return { type: "submit_tool_outputs", submit_tool_outputs: { tool_calls } };
}
