/** What a run skips it says, with the reason and what would run it. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { REASONS, skippedLines } from "./skipped.ts";

test("every file that may skip has a reason, and every reason such a file", () => {
  const folders = ["src", "converter", "runtime", "test", "scripts"];
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name.replaceAll("\\", "/")}`),
  );
  const here = files.filter(
    (file) => file.endsWith(".test.ts") && /\.(skipIf|runIf|skip)\(/.test(readFileSync(file, "utf8")),
  );
  for (const file of here)
    expect(skippedLines(new Map([[file, { tests: 2, notes: [] }]])), file).toEqual([
      expect.stringMatching(/: 2 tests: .+\. To run: .+/),
    ]);
  for (const [place] of REASONS) expect(here.filter((file) => file.startsWith(place))).not.toEqual([]);
});

test("a note of the test comes first", () =>
  expect(skippedLines(new Map([["a.test.ts", { tests: 1, notes: ["no GPU"] }]]))).toEqual([
    "  a.test.ts: 1 test: no GPU",
  ]));
