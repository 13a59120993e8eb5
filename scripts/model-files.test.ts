/** The page of claims has a row for every model under test/models, and for no other. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { modelFiles } from "./model-files.ts";
import { ROOT } from "./root.ts";

test("docs/claims.md has one row for every model: run `node dist/scripts/claims-table.js`", () => {
  const page = readFileSync(path.join(ROOT, "docs/claims.md"), "utf8");
  const rows = [...page.matchAll(/^\| ([\w/.-]+) \| (?:\d+ of \d+|refused) \|/gm)].map(([, name]) => name);
  expect(rows.toSorted()).toEqual(
    modelFiles()
      .map(({ name }) => name)
      .toSorted(),
  );
});
