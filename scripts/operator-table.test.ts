/** docs/operators.md is what the rules say today. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { operatorTable } from "./operator-table.ts";

test("docs/operators.md is current: npm run build && node dist/scripts/operator-table.js", () => {
  expect(readFileSync(new URL("../docs/operators.md", import.meta.url), "utf8")).toBe(operatorTable());
});
