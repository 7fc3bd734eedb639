// Runs a command so that it never outlives its parent: when stdin ends, for whatever reason, the whole
// process group goes. Without it a killed `npm start` leaves workerd behind, holding the port.
// SIGTERM is the polite end: the command gets the time to clean up after itself.
import { spawn } from "node:child_process";

const PATIENCE_MS = 3_000;

const [command = "", ...parameters] = process.argv.slice(2);
const child = spawn(command, parameters, { stdio: ["ignore", "inherit", "inherit"] });

const end = (): never => {
  // Started detached, this process leads its group: the negative id means all of it.
  process.kill(-process.pid, "SIGKILL");
  process.exit(1);
};
process.on("SIGTERM", () => {
  child.kill("SIGTERM");
  setTimeout(end, PATIENCE_MS);
});
process.stdin.on("end", end).on("error", end).resume();
child.on("error", end);
// What it has started may still be there.
child.on("exit", end);
