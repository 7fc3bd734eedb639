// What a client sees of a reply, in a form that two of them can be compared by.

export interface Seen {
  readonly status: number;
  /** All but the request id, which is every reply's own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export async function seen(response: Response): Promise<Seen> {
  const { "x-request-id": _, ...headers } = Object.fromEntries(response.headers);
  return { status: response.status, headers, body: await response.text() };
}

export interface PublicError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
}

export interface Refused extends PublicError {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly shouldRetry: string | null;
}

/** A refusal as the stock client reads it: the error, and what it says about trying again. */
export async function refused(response: Response): Promise<Refused> {
  const { error }: { error: PublicError } = await response.json();
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    shouldRetry: response.headers.get("x-should-retry"),
    ...error,
  };
}
