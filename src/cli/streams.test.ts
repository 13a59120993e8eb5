/** The exit code is the truth, whoever reads stdout and wherever it goes. */
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMAND, convertInto, longconv, scratch } from "../../test/command.ts";
import { zooModel } from "../../test/testdata.ts";

const SOURCE = zooModel("tnn-time-second").file;
const dir = scratch();
beforeAll(() => convertInto(dir, { small: SOURCE }));
afterAll(() => dir.remove());

/** Where stdout goes: to a reader that has left, to a full disk, to a file that may have 512 bytes. */
type Stdout = "closed" | "full" | "short";

const REDIRECTED = {
  full: 'exec "$0" "$@" > /dev/full',
  short: `ulimit -f 1; exec "$0" "$@" > '${dir.at("short.txt")}'`,
};

function run(stdout: Stdout, ...args: string[]): Promise<{ code: number | null; stderr: string }> {
  const argv = [process.execPath, COMMAND, ...args];
  const child = stdout === "closed" ? spawn(argv[0]!, argv.slice(1)) : spawn("sh", ["-c", REDIRECTED[stdout], ...argv]);
  child.stdout.destroy();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject).on("close", (code) => resolve({ code, stderr }));
  });
}

const FULL = /stdout: (the disk is full|cannot be written \(EFBIG\)) \[file-unwritable\]/;

function expectNamed(stderr: string): void {
  expect(stderr).toMatch(FULL);
  expect(stderr).not.toMatch(/\n +at /);
}

describe("a verdict stays one", () => {
  const verify = ["verify", SOURCE, dir.at("small"), "--lengths", "16", "--positions", "32"];
  test.each<[Stdout, string[]]>([
    ["closed", []],
    ["closed", ["--json"]],
    ["full", []],
    ["full", ["--json"]],
    ["short", ["--json"]],
  ])("stdout %s, %j", async (stdout, json) => {
    const failed = await run(stdout, ...verify, "--max-difference", "0", ...json);
    expect(failed.stderr).toContain("[check-failed]");
    expect(failed.code).toBe(5);
    const passed = await run(stdout, ...verify, ...json);
    if (stdout === "closed") expect(passed).toEqual({ code: 0, stderr: "" });
    else {
      expectNamed(passed.stderr);
      expect(passed.code).toBe(3);
    }
  });

  test("a broken contract, an error of the command line, a file that is missing", async () => {
    for (const stdout of ["closed", "full"] as const) {
      expect((await run(stdout, "check", SOURCE)).code).toBe(6);
      expect((await run(stdout, "convert", "--json")).code).toBe(2);
      expect((await run(stdout, "inspect", dir.at("none.onnx"), "--json")).code).toBe(3);
    }
  });

  test("help", async () => {
    expect(await run("closed", "--help")).toEqual({ code: 0, stderr: "" });
    const { code, stderr } = await run("full", "convert", "--help");
    expectNamed(stderr);
    expect(code).toBe(3);
  });
});

describe("generate", () => {
  const generate = ["generate", dir.at("small"), "--ids", "1,2,3"];
  const save = ["-n", "20", "--save-state", dir.at("end.state")];
  let wanted: Buffer;
  beforeAll(async () => {
    const { code, stderr } = await longconv([...generate, "-n", "20", "--save-state", dir.at("wanted.state")]);
    expect(code, stderr).toBe(0);
    wanted = readFileSync(dir.at("wanted.state"));
  });

  test.each(["closed", "full"] as const)("saves the state that was asked for: stdout %s", async (stdout) => {
    for (const json of [[], ["--json"]]) {
      const { code } = await run(stdout, ...generate, ...save, ...json);
      expect(code).toBe(stdout === "closed" ? 0 : 3);
      expect(Buffer.compare(readFileSync(dir.at("end.state")), wanted)).toBe(0);
      rmSync(dir.at("end.state"));
    }
  });

  test("ends where nobody reads its text, and nothing else was asked for", async () => {
    expect(await run("closed", ...generate, "-n", "1000000000")).toMatchObject({ code: 0 });
    const { code, stderr } = await run("full", ...generate, "-n", "1000000000");
    expectNamed(stderr);
    expect(code).toBe(3);
  });
});
