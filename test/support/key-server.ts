// A key endpoint over real HTTP, in Node beside the tests: it answers as it is told, and counts. One
// server for all of them; each test has a path of its own.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import type { TestProject } from "vitest/node";

/** What a path answers: a document, or one of the ways in which an endpoint can be unwell. */
export type KeyServerAnswer =
  | { readonly document: unknown }
  | { readonly status: number }
  | { readonly text: string }
  | { readonly fault: "hang" | "hang after the headers" | "drip" | "reset" | "redirect" | "huge" };

export interface KeyServerCounts {
  /** How often the keys were asked for. */
  readonly fetches: number;
  /** How often the place that a redirect names was. */
  readonly elsewhere: number;
  /** How many answers were cut off by who had asked. */
  readonly cut: number;
}

declare module "vitest" {
  export interface ProvidedContext {
    readonly keyServer: string;
  }
}

const HUGE_BYTES = 10 * 1024 * 1024;
const DRIP_MS = 50;

const server = createKeyServer();

export async function setup(project: TestProject): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  project.provide("keyServer", `http://127.0.0.1:${port}`);
}

export function teardown(): void {
  server.close();
  server.closeAllConnections();
}

/** `PUT /{name}` says what `GET /{name}/keys` answers; `GET /{name}` gives the counts. */
function createKeyServer(): Server {
  const answers = new Map<string, KeyServerAnswer>();
  const counts = new Map<string, { fetches: number; elsewhere: number; cut: number }>();
  return createServer(async (request, response) => {
    const [, name = "", place] = (request.url ?? "").split("/");
    const counted = counts.get(name) ?? { fetches: 0, elsewhere: 0, cut: 0 };
    counts.set(name, counted);
    if (request.method === "PUT") {
      answers.set(name, (await json(request)) as KeyServerAnswer);
      response.end();
    } else if (place === "keys") {
      counted.fetches += 1;
      response.on("close", () => {
        if (!response.writableFinished) counted.cut += 1;
      });
      give(answers.get(name) ?? { status: 404 }, request, response);
    } else if (place === "elsewhere") {
      counted.elsewhere += 1;
      give({ status: 404 }, request, response);
    } else {
      response.end(JSON.stringify(counted));
    }
  });
}

function give(answer: KeyServerAnswer, request: IncomingMessage, response: ServerResponse): void {
  if ("document" in answer) response.end(JSON.stringify(answer.document));
  else if ("text" in answer) response.end(answer.text);
  else if ("status" in answer) response.writeHead(answer.status).end("not today");
  else FAULTS[answer.fault](request, response);
}

const FAULTS: Readonly<
  Record<
    Extract<KeyServerAnswer, { fault: unknown }>["fault"],
    (request: IncomingMessage, response: ServerResponse) => void
  >
> = {
  hang: () => undefined,
  "hang after the headers": (_, response) => {
    response.flushHeaders();
    response.write('{"keys":[');
  },
  drip: (_, response) => {
    const timer = setInterval(() => response.write(" "), DRIP_MS);
    response.on("close", () => clearInterval(timer));
  },
  reset: (request) => void request.socket.resetAndDestroy(),
  redirect: (request, response) => {
    const elsewhere = (request.url ?? "").replace(/keys$/, "elsewhere");
    response.writeHead(302, { location: elsewhere }).end();
  },
  huge: (_, response) => void response.end(" ".repeat(HUGE_BYTES)),
};
