// Reads the body of a reply within its bounds. Decides nothing.
import type { KeyCutter } from "./echo.ts";
import type { Room, Share, UnreadBody } from "./room.ts";

/** What is kept of a body as it came: enough to recognise the short texts of servers. */
const HEAD_LENGTH = 4_096;
/** So much is read of the body of an error: its status is what counts. */
const ERROR_BYTES = 256 * 1_024;

export interface Received {
  /** The beginning of the body as it came. */
  readonly text: string;
  /** The parsed JSON, or undefined when it was none. */
  readonly body: unknown;
  /** In bytes, after decoding. */
  readonly bytes: number;
  /** Why a body that matters was not read to its end; null when it was. */
  readonly unread: UnreadBody | null;
}

/**
 * Decoded bytes are counted: a gzip bomb is stopped at the limit, not at its end. `cutter` takes
 * out of it what must be nowhere in it. Rejects when the connection breaks or the body cannot be decoded.
 */
export async function receive(
  { status, body: stream }: Response,
  room: Room,
  tenant: string,
  cutter: KeyCutter,
): Promise<Received> {
  if (stream === null) return { text: "", body: undefined, bytes: 0, unread: null };
  const share = room.begin(tenant);
  try {
    const isError = status >= 300;
    const most = isError ? ERROR_BYTES : Number.POSITIVE_INFINITY;
    const { bytes, unread } = await readWithin(stream, share, most);
    if (unread !== null && !isError) return { text: "", body: undefined, bytes: 0, unread };
    const text = new TextDecoder().decode(bytes);
    const body = cutter.inJson(parseJson(text), text);
    return { text: headOf(text, cutter), body, bytes: bytes.byteLength, unread: null };
  } finally {
    share.end();
  }
}

/** What came before its end, before `most` bytes or before there was no room for more. */
async function readWithin(
  stream: ReadableStream<Uint8Array>,
  share: Share,
  most: number,
): Promise<{ readonly bytes: Uint8Array; readonly unread: UnreadBody | null }> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < most) {
    const { done, value } = await reader.read();
    if (done) return { bytes: Buffer.concat(chunks), unread: null };
    const unread = share.take(value);
    if (unread !== null) {
      await reader.cancel();
      return { bytes: Buffer.concat(chunks), unread };
    }
    size += value.byteLength;
    chunks.push(value);
  }
  await reader.cancel();
  return { bytes: Buffer.concat(chunks), unread: null };
}

/** A copy: a part of a long text keeps the whole of it in memory. What is cut out may begin at its end. */
function headOf(text: string, cutter: KeyCutter): string {
  const clean = cutter.inText(text.slice(0, 2 * HEAD_LENGTH));
  return Buffer.from(clean.slice(0, HEAD_LENGTH)).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
