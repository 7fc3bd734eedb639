// Holes in where cancels go.
import type { ConfigDocument } from "../../src/config/schema.ts";
import type { Hole } from "./hole.ts";

export function upstreamHoles({ upstreams, tenants }: ConfigDocument): Hole[] {
  const used = new Set(Object.values(tenants).map(({ upstream }) => upstream));
  return Object.entries(upstreams).flatMap(([name, { kind, base_url }]): Hole[] => {
    const path = ["upstreams", name];
    if (kind === "assistants" && new URL(base_url).hostname === "api.openai.com") {
      return [
        {
          id: "upstream-retired",
          path: [...path, "base_url"],
          message: "OpenAI switched its threads and runs off on 2026-08-26: every cancel is 502",
          cure: 'use "kind": "openai-responses", or the address of a server that still speaks this wire',
        },
      ];
    }
    if (used.has(name)) return [];
    const message = `no tenant uses upstream '${name}', so nobody looks after what it names`;
    return [{ id: "upstream-unused", path, message, cure: "take it out, or point a tenant at it" }];
  });
}
