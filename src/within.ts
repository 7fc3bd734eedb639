// A time limit on work that may hang. The work itself goes on; nobody waits for it.

/** Rejects when the work does, or after `ms`. */
export async function within<T>(
  { sleep }: { readonly sleep: (ms: number) => Promise<void> },
  ms: number,
  work: Promise<T>,
): Promise<T> {
  const late = sleep(ms).then((): never => {
    throw new Error("timed out");
  });
  return await Promise.race([work, late]);
}
