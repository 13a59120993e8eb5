/** Running sums and means stay right over many steps; scripts/million-steps.ts is the long form. */
import { expect, test } from "vitest";
import { uniform } from "../src/random.ts";
import { longRun } from "./long-run.ts";

test("5 000 steps, against float64", async () => {
  const { apart } = await longRun(5000, 50, uniform(4));
  expect(Object.keys(apart)).toEqual(["sum", "mean", "answer"]);
  for (const value of Object.values(apart)) expect(value).toBeLessThan(1e-5);
});
