/** The short form of `scripts/mutate.ts`: damaged files are fine or refused by name, and no process ends. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../dist/scripts/mutate.js", import.meta.url));

test("twelve damaged files", () => {
  const { status, stdout } = spawnSync(process.execPath, [SCRIPT, "--count", "12", "--from", "20"], {
    encoding: "utf8",
  });
  expect(status, stdout).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ files: 12, failures: 0 });
});
