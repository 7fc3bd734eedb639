// What a gateway leans on, as its config has it: whether it can be had, seen from this machine. Sends no
// key to anybody.
import type { ConfigDocument } from "../../src/config/schema.ts";
import { describeKeys, ProviderProblem } from "../providers.ts";
import { ask, type Check, NoAnswer, notChecked, ok, problem } from "./check.ts";

/** One line for each issuer whose keys have to be fetched. */
export async function providers(
  fetcher: typeof fetch,
  { issuers }: ConfigDocument,
): Promise<readonly Check[]> {
  const id = "identity-provider";
  const remote = issuers.filter(({ jwks_uri }) => jwks_uri !== undefined);
  if (remote.length === 0)
    return [notChecked(id, "the keys are in the config: nobody need be asked")];
  return await Promise.all(
    remote.map(async (issuer) => {
      try {
        return ok(id, `${issuer.issuer} ${await describeKeys(fetcher, issuer)}`);
      } catch (error) {
        if (!(error instanceof ProviderProblem)) throw error;
        const cure = "look at its entry with 'npm run gateway -- lint FILE --online'";
        return problem(id, `${issuer.issuer} ${error.message}`, cure);
      }
    }),
  );
}

const TIMEOUT_MS = 10_000;

/** Whatever it answers counts: without a key it is a refusal most of the time. */
export async function upstreams(
  fetcher: typeof fetch,
  config: ConfigDocument,
): Promise<readonly Check[]> {
  const id = "upstream";
  return await Promise.all(
    Object.entries(config.upstreams).map(async ([name, { base_url }]) => {
      try {
        const { status } = await ask(fetcher, base_url, {}, TIMEOUT_MS);
        const answered = `${name} answers at ${base_url} (${status}, without a key)`;
        return status < 500 ? ok(id, answered) : problem(id, answered, "is it well there?");
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        return problem(
          id,
          `${name} cannot be reached at ${base_url} from here (${error.message})`,
          "is base_url right, and is it up? (From inside a network it may be reached where the Worker cannot, and the other way round.)",
        );
      }
    }),
  );
}
