// Reads a body within bounds: what arrives is counted, whatever its headers say.

/** Null when there is more than `limit`; the rest is not read. */
export async function readBytes(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
): Promise<Uint8Array | null> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks);
    bytes += value.byteLength;
    if (bytes > limit) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
}

/** JSON as RFC 8259 has it: strict UTF-8 without a byte order mark. Undefined when it is none. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    // `ignoreBOM` keeps the mark, which JSON.parse then refuses.
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
