// Adds up what vitest's JSON reports say, in one line: `N passed, N failed`.
import { readFileSync } from "node:fs";

const reports = process.argv.slice(2).flatMap((file) => {
  try {
    return [JSON.parse(readFileSync(file, "utf8"))];
  } catch {
    return [];
  }
});
const sum = (member) => reports.reduce((total, report) => total + (report[member] ?? 0), 0);
console.log(`${sum("numPassedTests")} passed, ${sum("numFailedTests")} failed`);
