// Where two JSON values differ, in lines that are short and still show it. Pure.
import { isDeepStrictEqual } from "node:util";

const VALUE_CHARACTERS = 100;
const ITEMS_SHOWN = 5;

/** `path`: what the value is called. Nothing that differs is left out but the rest of a long list. */
export function linesForDifference(path: string, before: unknown, after: unknown): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isRecord(before) && isRecord(after)) {
    return namesIn(before, after).flatMap((name) =>
      linesForDifference(below(path, name), before[name], after[name]),
    );
  }
  if (Array.isArray(before) && Array.isArray(after)) return linesForLists(path, before, after);
  return [`${path}: ${shortPair(before, after).join(" → ")}`];
}

/** Rules have an id; of them it matters which, and in what order. Of others it matters what is in them. */
function linesForLists(
  path: string,
  before: readonly unknown[],
  after: readonly unknown[],
): string[] {
  const [old, now] = [byId(before), byId(after)];
  if (old === null || now === null) return linesForItems(path, before, after);
  const kept = (list: Named, other: Named): string[] =>
    [...list.keys()].filter((id) => other.has(id));
  const [order, newOrder] = [kept(old, now), kept(now, old)];
  const moved = !isDeepStrictEqual(order, newOrder);
  // Where one is tried before another, who comes first is a difference too, also of one that is new.
  const placed = newOrder.length < now.size && now.size > 1;
  return [
    ...[...new Set([...old.keys(), ...now.keys()])].flatMap((id) => {
      const [was, is] = [old.get(id), now.get(id)];
      if (was === undefined) return [`${path}: + ${short(is)}`];
      if (is === undefined) return [`${path}: - ${short(was)}`];
      return linesForDifference(`${path}[${id}]`, was, is);
    }),
    ...(moved || placed ? [`${path}, in this order: ${[...now.keys()].join(", ")}`] : []),
  ];
}

type Named = ReadonlyMap<string, unknown>;

/** Null when they are not all things with ids. */
function byId(list: readonly unknown[]): Named | null {
  const named = list.flatMap((item): [string, unknown][] =>
    isRecord(item) && typeof item["id"] === "string" ? [[item["id"], item]] : [],
  );
  return named.length === list.length ? new Map(named) : null;
}

function linesForItems(
  path: string,
  before: readonly unknown[],
  after: readonly unknown[],
): string[] {
  const [old, now] = [before, after].map(
    (list) => new Set(list.map((item) => JSON.stringify(item))),
  );
  const added = after.filter((item) => old?.has(JSON.stringify(item)) === false);
  const removed = before.filter((item) => now?.has(JSON.stringify(item)) === false);
  if (added.length + removed.length === 0) return [`${path}: the same, in another order or number`];
  return [...listed(`${path}: + `, added), ...listed(`${path}: - `, removed)];
}

function listed(lead: string, items: readonly unknown[]): string[] {
  if (items.length === 0) return [];
  const shown = items.slice(0, ITEMS_SHOWN).map(short).join(", ");
  const more = items.length - ITEMS_SHOWN;
  return [`${lead}${shown}${more > 0 ? ` and ${more.toLocaleString("en")} more` : ""}`];
}

function namesIn(before: object, after: object): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])];
}

/** What is called by two words, such as an issuer, would swallow a dot. */
function below(path: string, name: string): string {
  return `${path}${path.includes(" ") ? " " : "."}${name}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function short(value: unknown): string {
  return cut(textOf(value), 0);
}

/** Two values that begin alike are shown from shortly before they part. */
function shortPair(before: unknown, after: unknown): [string, string] {
  const [old, now] = [textOf(before), textOf(after)];
  let same = 0;
  while (same < old.length && old[same] === now[same]) same += 1;
  const from = same < VALUE_CHARACTERS - 20 ? 0 : same - 20;
  return [cut(old, from), cut(now, from)];
}

function textOf(value: unknown): string {
  return value === undefined ? "(not there)" : JSON.stringify(value);
}

function cut(text: string, from: number): string {
  const rest = text.slice(from, from + VALUE_CHARACTERS);
  const end = from + VALUE_CHARACTERS < text.length ? "…" : "";
  return `${from > 0 ? "…" : ""}${rest}${end}`;
}
