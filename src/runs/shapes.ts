// What is shown of JSON that a vendor made, stated by its places: a shape names each member that is shown, and
// what is not named is not. Pure.
import { isRecord } from "./lenient.ts";

/** What is shown of a value; undefined when nothing is. */
export type Shape = (value: unknown) => unknown;

/** A text, a number, a truth value or null. */
export const plain: Shape = (value) =>
  value === null || ["string", "number", "boolean"].includes(typeof value) ? value : undefined;

/** JSON of any shape, whose members the model, or the response's creator, has named. */
export const free: Shape = (value) => value;

/** Nothing but null, which says that there is nothing. */
const none: Shape = (value) => (value === null ? null : undefined);

/** A list of what the shape shows of each entry. Entries that are null, or of which nothing is shown, are left out. */
export function list(shape: Shape): Shape {
  return (value) =>
    Array.isArray(value) ? value.map(shape).filter((entry) => entry != null) : none(value);
}

/** The members that are named, in their order. */
export function object(members: Readonly<Record<string, Shape>>): Shape {
  const shapes = new Map(Object.entries(members));
  return (value) => {
    if (!isRecord(value)) return none(value);
    const shown = Object.entries(value).map(([key, held]) => [key, shapes.get(key)?.(held)]);
    return Object.fromEntries(shown.filter(([, held]) => held !== undefined));
  };
}

/** An object whose `type` says which of its members are shown; `others`, of a type that is not named. */
export function typed(types: Readonly<Record<string, Shape>>, others: Shape): Shape {
  const shapes = new Map(Object.entries(types));
  return (value) => {
    const type = isRecord(value) ? value["type"] : undefined;
    return (shapes.get(typeof type === "string" ? type : "") ?? others)(value);
  };
}

/** What the first of the shapes shows that shows anything. */
export function either(...shapes: readonly Shape[]): Shape {
  return (value) => {
    for (const shape of shapes) {
      const shown = shape(value);
      if (shown !== undefined) return shown;
    }
    return undefined;
  };
}

/** With what a stock client expects to find, made anew, where the shape shows no such member. */
export function filled(shape: Shape, blanks: () => Readonly<Record<string, unknown>>): Shape {
  return (value) => {
    const shown = shape(value);
    if (!isRecord(shown)) return shown;
    const missing = Object.entries(blanks()).filter(([key]) => (shown[key] ?? null) === null);
    return { ...shown, ...Object.fromEntries(missing) };
  };
}
