// The simulator as a Worker: gives the app its clock, ids and timers. Local use only.
import { createSimulator } from "./app.ts";

const simulator = createSimulator({
  now: Date.now,
  newId: (prefix) => `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});

export default { fetch: simulator.fetch };
