/** Progress: lines that are true of what is known, and a line that moves while the work holds its thread. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { longconv, scratch } from "../../test/command.ts";
import { zooModel } from "../../test/testdata.ts";
import { jsonLine, plainLine, progressLine, stoppingLine } from "./progress-line.ts";

const SMALL = zooModel("tnn-time-second").file;
const open = { step: "finding convolutions", done: 3, total: undefined };

test("a bar where the total is known, a spinner where it is not, and the time since the beginning", () => {
  const half = progressLine({ step: "checking", done: 2, total: 4 }, 7900, 100);
  expect(half).toMatch(/^. checking █{15}░{15} 2\/4 {2}0:07$/);
  expect(progressLine({ step: "checking", done: 0, total: 4 }, 0, 100)).toContain("░".repeat(30));
  expect(progressLine(open, 65_000, 100)).toMatch(/^. finding convolutions 3 {2}1:05$/);
  expect(progressLine(open, 3_723_000, 100)).toContain("1:02:03");
  expect(progressLine(open, 0, 10)).toHaveLength(10);
  expect(plainLine(open, 2000)).toBe("finding convolutions 3 (0:02)");
  expect(plainLine({ ...open, total: 9 }, 2000)).toBe("finding convolutions 3 of 9 (0:02)");
  expect(stoppingLine({ ...open, total: 9 }, 2000)).toBe("stopping … after 0:02, at: finding convolutions 3 of 9");
  expect(stoppingLine(undefined, 62_000)).toBe("stopping … after 1:02");
  expect(JSON.parse(jsonLine(open, 2500))).toEqual({
    progress: { step: "finding convolutions", done: 3, seconds: 2.5 },
  });
});

test("the line moves while the work holds its thread, and goes when it is settled", async () => {
  const script = `
    const { openProgress } = await import(${JSON.stringify(new URL("../../dist/src/cli/progress.js", import.meta.url))});
    process.stderr.isTTY = true;
    const progress = openProgress("auto");
    progress.show({ step: "solving", done: 0, total: undefined });
    require("node:fs").readSync(0, Buffer.alloc(1));
    progress.settle();
    require("node:fs").writeSync(2, "settled");`;
  const child = spawn(process.execPath, [
    "--input-type=module",
    "-e",
    `import { createRequire } from "node:module"; const require = createRequire(process.cwd() + "/"); ${script}`,
  ]);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    const frames = new Set([...stderr.matchAll(/(.) solving/g)].map(([, frame]) => frame));
    if (frames.size >= 3) child.stdin.end("x");
  });
  const [code] = await once(child, "close");
  expect(code).toBe(0);
  expect(stderr.endsWith("\r\x1b[Ksettled"), stderr).toBe(true);
});

test.each(["plain", "json"])("convert --progress %s names every step", async (kind) => {
  const dir = scratch();
  const run = await longconv(["convert", SMALL, "-o", dir.at("out.onnx"), "--horizon", "32", "--progress", kind]);
  dir.remove();
  expect(run.code, run.stderr).toBe(0);
  const lines = run.stderr.trimEnd().split("\n");
  const steps = lines.map((line) =>
    kind === "json" ? JSON.parse(line).progress.step : line.replace(/( \d+( of \d+)?)? \(\d+:\d\d\)$/, ""),
  );
  expect([...new Set(steps)]).toEqual([
    "reading the model",
    "finding convolutions",
    "reading kernels",
    "solving layers",
    "assembling the model",
    "checking",
    "writing",
  ]);
});
