/** The work of a command can be ended, and a crash of ONNX Runtime has a name. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { COMMAND, errorOf, longconv, scratch } from "../../test/command.ts";
import { zooModel } from "../../test/testdata.ts";

const hostile = (name: string) => fileURLToPath(new URL(`../../test/models/hostile/${name}`, import.meta.url));
const dir = scratch();
afterAll(() => dir.remove());

describe("a model that ends its process", () => {
  const file = hostile("assert-in-runtime.onnx");
  test.each([
    ["inspect", file],
    ["convert", file, "-o", dir.at("out.onnx")],
  ])("%s", async (...args) => {
    const error = errorOf(await longconv([...args, "--json"]));
    expect(error).toMatchObject({ code: "runtime-failed", file });
    expect(readdirSync(dir.folder)).toEqual([]);
  });
});

describe("limits", () => {
  // takes minutes and gigabytes
  const file = hostile("one-constant.onnx");
  test.each([
    ["--timeout", "2", "time-exceeded"],
    ["--memory", "100MB", "memory-exceeded"],
  ])("%s %s", async (option, value, code) => {
    const error = errorOf(await longconv(["convert", file, "-o", dir.at("out.onnx"), option, value, "--json"]));
    expect(error).toMatchObject({ code, file });
    expect(readdirSync(dir.folder)).toEqual([]);
  });
});

/** Bytes of a process's child, 0 where it has none yet. */
function residentOf(parent: number): number {
  try {
    const [child] = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").split(" ");
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

describe.runIf(process.platform === "linux")("signals", () => {
  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s while ONNX Runtime computes", async (signal) => {
    const out = dir.at("out.onnx");
    const child = spawn(process.execPath, [COMMAND, "convert", hostile("one-constant.onnx"), "-o", out, "--json"], {
      env: { ...process.env, TMPDIR: dir.folder },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    // so much it takes in the midst of the work only
    while (residentOf(child.pid!) < 200e6) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill(signal);
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code, stderr).toBe(130);
    expect(stderr).toContain("stopping …");
    expect(JSON.parse(stdout).error.code).toBe("aborted");
    expect(readdirSync(dir.folder)).toEqual([]);
  });
});

test("an honest model's result and exit code are as they were", async () => {
  const { code, stderr } = await longconv(["inspect", zooModel("tnn-time-second").file, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
});
