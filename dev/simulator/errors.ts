// OpenAI's error envelope and its exact texts, as `reference/upstreams.md` quotes them. Decides
// nothing: the routes say which one applies.

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

type Status = 400 | 401 | 404;

/** Thrown by a route to answer with an error; `app.ts` writes it. */
export class WireError extends Error {
  override readonly name = "WireError";
  readonly status: Status;
  readonly body: ErrorBody;

  constructor(status: Status, message: string, body: Partial<ErrorBody["error"]> = {}) {
    super(message);
    this.status = status;
    this.body = errorBody(message, body);
  }
}

export function errorBody(message: string, rest: Partial<ErrorBody["error"]> = {}): ErrorBody {
  return { error: { message, type: "invalid_request_error", param: null, code: null, ...rest } };
}

export function missingKey(): WireError {
  return new WireError(
    401,
    "You didn't provide an API key. You need to provide your API key in an Authorization header " +
      "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with " +
      "blank username) if you're accessing the API from your browser and are prompted for a " +
      "username and password. You can obtain an API key from " +
      "https://platform.openai.com/account/api-keys.",
  );
}

/** Echoes part of the key, as OpenAI does: the gateway has to keep this text to itself. */
export function incorrectKey(key: string): WireError {
  return new WireError(
    401,
    `Incorrect API key provided: ${masked(key)}. You can find your API key at ` +
      "https://platform.openai.com/account/api-keys.",
    { code: "invalid_api_key" },
  );
}

export function missingBeta(): WireError {
  return new WireError(
    400,
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by " +
      "setting the header 'OpenAI-Beta: assistants=v2'.",
    { code: "invalid_beta" },
  );
}

export function deprecatedBeta(): WireError {
  return new WireError(
    400,
    "The v1 Assistants API has been deprecated. Please try again by setting the header " +
      "'OpenAI-Beta: assistants=v2'.",
    { code: "invalid_beta" },
  );
}

export function noSuchThread(id: string): WireError {
  return new WireError(404, `No thread found with id '${id}'.`);
}

export function noSuchRun(id: string): WireError {
  return new WireError(404, `No run found with id '${id}'.`);
}

export function noSuchResponse(id: string): WireError {
  return new WireError(404, `Response with id '${id}' not found.`);
}

export function cannotCancelRun(status: string): WireError {
  return new WireError(400, `Cannot cancel run with status '${status}'.`);
}

/** For `incomplete` two texts exist in public servers; the newer ones use this. */
export function cannotCancelResponse(what: "synchronous" | "completed" | "failed" | "incomplete") {
  const message =
    what === "incomplete"
      ? "Cannot cancel a response in terminal state."
      : `Cannot cancel a ${what} response.`;
  return new WireError(400, message);
}

export function invalidUrl(method: string, path: string): ErrorBody {
  return errorBody(`Invalid URL (${method} ${path})`);
}

export function notJson(): WireError {
  return new WireError(
    400,
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using " +
      "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was " +
      "not valid JSON. If you have trouble figuring out how to fix this, please contact us " +
      "through our help center at help.openai.com.)",
  );
}

export function invalidParameter(param: string, message: string): WireError {
  return new WireError(400, message, { param });
}

/** The first eight and the last four characters; of a short key only the first two. */
function masked(key: string): string {
  if (key.length <= 12) return `${key.slice(0, 2)}***`;
  return `${key.slice(0, 8)}${"*".repeat(key.length - 12)}${key.slice(-4)}`;
}
