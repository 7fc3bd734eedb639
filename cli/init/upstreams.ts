// The upstreams that a config can be made for: what is usual of each kind. A kind that is not described
// here can be chosen all the same.
import { UPSTREAMS } from "../../src/upstreams/index.ts";

export interface UpstreamChoice {
  /** What --upstream takes. */
  readonly value: string;
  readonly label: string;
  readonly hint: string;
  readonly kind: string;
  /** Its name in the config. */
  readonly name: string;
  readonly baseUrl: BaseUrl;
  /** The secret is called this and the tenant. */
  readonly secret: string;
}

/** Where it is, or where it is usually, or what such an address looks like. */
export type BaseUrl =
  | { readonly fixed: string }
  | { readonly usual: string }
  | { readonly like: string };

export const SIMULATOR: UpstreamChoice = {
  value: "simulator",
  label: "The simulator, to try it out",
  hint: "npm run simulator, on this machine",
  kind: "assistants",
  name: "simulator",
  baseUrl: { fixed: "http://127.0.0.1:8788/assistants/v1" },
  secret: "SIMULATOR_KEY",
};

type Description = Omit<UpstreamChoice, "value" | "kind">;

const DESCRIBED: Readonly<Record<string, Description>> = {
  "openai-responses": {
    label: "OpenAI Responses API",
    hint: "background responses, of OpenAI or a server that speaks the same",
    name: "openai",
    baseUrl: { usual: "https://api.openai.com/v1" },
    secret: "OPENAI_KEY",
  },
  langgraph: {
    label: "LangGraph",
    hint: "a LangGraph server, your own or LangSmith's",
    name: "graphs",
    baseUrl: { like: "https://graphs.example.com" },
    secret: "LANGGRAPH_KEY",
  },
  "openai-agents": {
    label: "OpenAI Agents API (beta)",
    hint: "sessions and turns: a session is a thread, a turn a run",
    name: "agents",
    baseUrl: { usual: "https://api.openai.com/v1" },
    secret: "OPENAI_KEY",
  },
  "gemini-interactions": {
    label: "Gemini Interactions API",
    hint: "background interactions",
    name: "gemini",
    baseUrl: { usual: "https://generativelanguage.googleapis.com/v1beta" },
    secret: "GEMINI_KEY",
  },
  assistants: {
    label: "Threads and runs",
    hint: "Microsoft Foundry (classic), or a server that speaks OpenAI's retired Assistants API",
    name: "threads",
    baseUrl: { like: "https://threads.example.com/v1" },
    secret: "UPSTREAM_KEY",
  },
};

/** The described ones in the order above, then any other kind that there is, then the simulator. */
export function upstreamChoices(): readonly UpstreamChoice[] {
  const kinds = UPSTREAMS.map(({ kind }) => kind);
  const described = Object.keys(DESCRIBED).filter((kind) => kinds.includes(kind));
  const others = kinds.filter((kind) => !described.includes(kind));
  const choices = [...described, ...others].map((kind) => ({
    value: kind,
    kind,
    ...(DESCRIBED[kind] ?? undescribed(kind)),
  }));
  return [...choices, SIMULATOR];
}

function undescribed(kind: string): Description {
  return {
    label: kind,
    hint: "docs/upstreams.md",
    name: kind,
    baseUrl: { like: "https://runs.example.com/v1" },
    secret: "UPSTREAM_KEY",
  };
}

/** A secret's name has 64 characters at most. */
const SECRET_NAME_CHARACTERS = 64;

export function secretNameFor({ secret }: UpstreamChoice, tenant: string): string {
  const name = `${secret}_${tenant.toUpperCase().replaceAll("-", "_")}`;
  return name.slice(0, SECRET_NAME_CHARACTERS);
}
