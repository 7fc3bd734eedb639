// Small readings that every adapter shares: members of unknown JSON, error texts. Pure.

/** The member of that name, when `value` is an object that has it itself. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** `error.message` of OpenAI's envelope; empty when there is none. */
export function errorMessage(body: unknown): string {
  return text(member(member(body, "error"), "message")) ?? "";
}
