/** The work of a command can be ended, and a crash of ONNX Runtime has a name. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { COMMAND, errorOf, longconv, scratch } from "../../test/command.ts";
import { demoModel, zooModel } from "../../test/testdata.ts";
import { ERROR_EXIT_CODES } from "../errors.ts";

const dir = scratch();
afterAll(() => dir.remove());

/** It is solved for longer than any of this takes, in more memory. */
const file = demoModel().file;

describe("limits", () => {
  test.each([
    ["--timeout", "1", "time-exceeded"],
    ["--memory", "100MB", "memory-exceeded"],
  ])("%s %s", async (option, value, code) => {
    const error = errorOf(await longconv(["convert", file, "-o", dir.at("out.onnx"), option, value, "--json"]));
    expect(error).toMatchObject({ code, file });
    expect(readdirSync(dir.folder)).toEqual([]);
  });
});

/** The process's child, once it takes so many bytes: in the midst of the work. */
async function childWithin(parent: ChildProcess, bytes: number): Promise<number> {
  for (;;) {
    if (parent.exitCode !== null) throw new Error(`it ended by itself: ${parent.exitCode}`);
    const [child, resident] = childOf(parent.pid!);
    if (resident >= bytes) return child;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A process's child and its bytes, 0 where it has none yet. */
function childOf(parent: number): [number, number] {
  try {
    const [child] = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").split(" ");
    const status = readFileSync(`/proc/${child}/status`, "utf8");
    return [Number(child), 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0)];
  } catch {
    return [0, 0];
  }
}

/** `convert` in the midst of its work, and what comes of it after this. */
async function converting(then: (parent: ChildProcess, child: number) => void) {
  const parent = spawn(process.execPath, [COMMAND, "convert", file, "-o", dir.at("out.onnx"), "--json"], {
    env: { ...process.env, TMPDIR: dir.folder },
  });
  let [stdout, stderr] = ["", ""];
  parent.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  parent.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => parent.on("close", resolve));
  then(parent, await childWithin(parent, 120e6));
  const code = await ended;
  expect(readdirSync(dir.folder)).toEqual([]);
  return { code, stderr, error: JSON.parse(stdout).error };
}

describe.runIf(process.platform === "linux")("signals", () => {
  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s in the midst of the work", async (signal) => {
    const { code, stderr, error } = await converting((parent) => parent.kill(signal));
    expect(code, stderr).toBe(130);
    expect(stderr).toMatch(/^stopping … after 0:\d\d, at: (reading|finding|solving|checking) [a-z]+/m);
    expect(error.code).toBe("aborted");
  });

  test("an abort of the process that works, as by an assertion of ONNX Runtime, has a name", async () => {
    const { code, error } = await converting((_, child) => process.kill(child, "SIGABRT"));
    expect(error).toMatchObject({ code: "runtime-failed", file });
    expect(error.reason).toContain("SIGABRT");
    expect(code).toBe(ERROR_EXIT_CODES["runtime-failed"]);
  });
});

test("where no process can be started, it says so", async () => {
  const elsewhere = 'data:text/javascript,process.execPath="/nowhere/node"';
  const { status, stdout } = spawnSync(process.execPath, ["--import", elsewhere, COMMAND, "inspect", file, "--json"], {
    encoding: "utf8",
  });
  expect(JSON.parse(stdout).error).toMatchObject({ code: "runtime-failed", reason: expect.stringContaining("ENOENT") });
  expect(status).toBe(ERROR_EXIT_CODES["runtime-failed"]);
});

test("an honest model's result and exit code are as they were", async () => {
  const { code, stderr } = await longconv(["inspect", zooModel("tnn-time-second").file, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
});
