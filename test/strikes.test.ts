/** The short forms of scripts that strike at random moments, or go on for long. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The JSON lines that a built script prints. */
function lines(script: string, ...args: string[]): Record<string, unknown>[] {
  const file = fileURLToPath(new URL(`../dist/scripts/${script}.js`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { encoding: "utf8" });
  expect(status, stdout + stderr).toBe(0);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("a batch that sequences join, leave and are aborted in", () => {
  const [said] = lines("soak-batch", "--requests", "80");
  expect(said).toMatchObject({ wrong: 0, finished: expect.any(Number) });
  for (const fate of ["finished", "aborted", "left"]) expect(said![fate], fate).toBeGreaterThan(0);
});

test("a server whose clients come and hang up", () => {
  const [said] = lines("soak-serve", "--requests", "60", "--clients", "12");
  expect(said).toMatchObject({ wrong: 0, remaining: 0 });
  for (const fate of ["finished", "left"]) expect(said![fate], fate).toBeGreaterThan(0);
});

test("a server that is killed while it writes sessions", () => {
  expect(lines("strike-sessions", "--count", "1")).toMatchObject([{ kills: 1, wrong: 0 }]);
});

test("Ctrl-C and SIGTERM", () => {
  expect(lines("strike-signals", "--count", "1", "--within", "500", "--untimed")).toHaveLength(5);
});
