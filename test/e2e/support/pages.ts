// A server of an app's own: one page, and the stock clients as the package has them.
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join, normalize } from "node:path";

const MODULES = join(import.meta.dirname, "../../../node_modules");

/** `/` is the page; every other path is a module's file, such as `/openai/index.mjs`. */
export function servePage(page: string, port: number): Server {
  return createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const send = (type: string, body: string | Buffer) =>
      response.setHeader("content-type", type).end(body);
    if (path === "/") send("text/html", page);
    else {
      readFile(join(MODULES, path)).then(
        (file) => send("text/javascript", file),
        () => response.writeHead(404).end(),
      );
    }
  }).listen(port);
}
