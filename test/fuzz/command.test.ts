/** The long form's command line: what it takes, and what it refuses. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { OVERCLAIMS } from "./overclaims/index.ts";

const SCRIPT = fileURLToPath(new URL("../../dist/scripts/fuzz.js", import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const fuzz = (...args: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

test("--help lists the options and the overclaims", async () => {
  const { code, stdout } = await fuzz("--help");
  expect(code).toBe(0);
  for (const name of ["--workers", ...Object.keys(OVERCLAIMS)]) expect(stdout).toContain(name);
});

test.each([["--nonsense"], ["17"], ["--count", "many"], ["--overclaim", "none"], ["--save", "model.onnx"]])(
  "refused: %s",
  async (...args) => {
    const { code, stderr } = await fuzz(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: /);
  },
);

test("several processes judge the same as one", async () => {
  const summaries = await Promise.all(
    ["1", "2"].map((workers) => fuzz("--from", "25", "--count", "3", "--json", "--workers", workers)),
  );
  const [one, two] = summaries.map(({ stdout }) => JSON.parse(stdout.trim().split("\n").at(-1)!) as { graphs: number });
  expect(one).toMatchObject({ graphs: 3 });
  expect(two).toEqual(one);
});
