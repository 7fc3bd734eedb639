// Clients that send a request and leave: their socket is reset, as a closed tab or a dropped network does it.
import { connect, type Socket } from "node:net";

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What is sent of the body; `content-length` is the caller's to set. */
  readonly body?: string;
}

/** Sends the request over a socket of its own; resolves when it has been written. */
export async function send(port: number, request: RawRequest): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  // What comes back is not read, so that it must not stop the socket.
  socket.resume();
  const lines = [
    `${request.method} ${request.path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
    "",
    request.body ?? "",
  ];
  await new Promise<void>((resolve) => socket.write(lines.join("\r\n"), () => resolve()));
  return socket;
}

/** Sends all of them at once and leaves `afterMs` later. */
export async function sendAndLeave(
  port: number,
  requests: readonly RawRequest[],
  afterMs: number,
): Promise<void> {
  const sockets = await Promise.all(requests.map((request) => send(port, request)));
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  for (const socket of sockets) socket.resetAndDestroy();
}
