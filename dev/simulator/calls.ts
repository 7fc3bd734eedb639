// The list of calls the simulator got, for tests that look at what the gateway really sent. Keeps no
// body and no whole key.

export interface Call {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** When it came in, in milliseconds since the Unix epoch. */
  readonly at: number;
  /** What it was answered with; null while it has no answer. */
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string>>;
}

const KEY_HEADERS = new Set(["authorization", "api-key", "x-api-key", "x-goog-api-key"]);

export function callOf(request: Request, path: string, at: number): Call {
  return {
    method: request.method,
    path,
    at,
    status: null,
    headers: Object.fromEntries(
      [...request.headers].map(([name, value]) => [
        name,
        KEY_HEADERS.has(name) ? value.slice(-4) : value,
      ]),
    ),
  };
}
