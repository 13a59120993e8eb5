/** What each entry point exports; the runtime's are in runtime/imports.test.ts. */
import { expect, test } from "vitest";

const ERRORS = ["ERROR_EXIT_CODES", "LongConvError"];

test("longconv-ssm/converter", async () => {
  const values = [
    [
      "BUDGETS",
      "RULES",
      "STRATEGIES",
      "WEIGHT_KINDS",
      "checkContract",
      "convert",
      "decodeModel",
      "deployGenai",
      "deployTriton",
    ],
    ["encodeModel", "inspect", "lookBeside", "modelFileOf", "readIds", "readModel", "targetOf", "verify", "writeModel"],
    ["storeWeights", "writeOutput"],
  ].flat();
  expect(Object.keys(await import("../converter/index.ts")).sort()).toEqual([...ERRORS, ...values].sort());
});

test("longconv-ssm/bench", async () => {
  expect(Object.keys(await import("../src/bench/index.ts")).sort()).toEqual([
    ...ERRORS,
    "bench",
    "benchCsv",
    "benchMarkdown",
    "benchPicture",
    "benchRows",
  ]);
});

test("longconv-ssm: the contract and the errors", async () => {
  const [all, ...parts] = [
    await import("../src/index.ts"),
    await import("../src/contract.ts"),
    await import("../src/errors.ts"),
  ];
  expect(Object.keys(all).sort()).toEqual(parts.flatMap((part) => Object.keys(part)).sort());
});
