// The version that events and upstream requests carry is the package's.
import { expect, it } from "vitest";
import { version } from "../package.json";
import { VERSION } from "../src/version.ts";

it("is the one in package.json", () => {
  expect(VERSION).toBe(version);
});
