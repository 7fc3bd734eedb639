// Compile-time proof, read by `tsc` alone, that our Run is the Run of the `openai` package.
import type { Run as OpenAiRun } from "openai/resources/beta/threads/runs/runs";
import type { Run } from "../../src/runs/run.ts";

// Deliberate difference, the only one: `temperature` and `top_p` may be missing there. Here every
// key is always present, null when there is no value; hence `Required`.
type Theirs = Required<OpenAiRun>;

/** Identity, not just assignability, which does not see that an optional member is missing. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Interfaces and aliases spelled out, since identity compares what is written. */
type Plain<T> = T extends readonly (infer Item)[]
  ? Plain<Item>[]
  : T extends object
    ? { [Key in keyof T]: Plain<T[Key]> }
    : T;

type Differing = {
  [Key in keyof Theirs & keyof Run]: Same<Plain<Theirs[Key]>, Plain<Run[Key]>> extends true
    ? never
    : Key;
}[keyof Theirs & keyof Run];

// A claim that does not hold is an error of `tsc`, and its message names the keys.
type None<Keys extends never> = Keys;
type Holds<Claim extends true> = Claim;

export type NoKeyIsMissing = None<Exclude<keyof Theirs, keyof Run>>;
export type NoKeyIsAdded = None<Exclude<keyof Run, keyof Theirs>>;
export type NoTypeDiffers = None<Differing>;
export type OursIsTheirs = Holds<Run extends Theirs ? true : false>;
export type TheirsIsOurs = Holds<Theirs extends Run ? true : false>;
