/** scripts/gpu/cuda.py as far as it goes without a GPU: its figures on the CPU, and that it sees nodes that fall back. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";

const python = process.env.LONGCONV_PYTHON ?? "python3";
const script = path.join(ROOT, "scripts/gpu/cuda.py");
const folder = mkdtempSync(path.join(tmpdir(), "longconv-"));
const run = (...given: string[]) => spawnSync(python, given, { encoding: "utf8", cwd: folder });
const isThere = run("-c", "import numpy, onnxruntime").status === 0;
if (!isThere)
  console.warn(`test/gpu is skipped: ${python} has no onnxruntime and numpy (LONGCONV_PYTHON names another)`);
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!isThere)("cuda.py", () => {
  beforeAll(() => {
    const model = path.join(ROOT, "test/models/zoo/tnn-heads/model.onnx");
    const main = path.join(ROOT, "dist/src/cli/main.js");
    const made = spawnSync(process.execPath, [main, "convert", model, "-o", "model", "--step-file"], { cwd: folder });
    expect(made.status, String(made.stderr)).toBe(0);
  }, 120_000);

  test("measures step, prompt and batches, and every node runs where it was asked for", () => {
    const options = [
      "--provider",
      "cpu",
      "--rounds",
      "3",
      "--prompt",
      "40",
      "--batches",
      "1",
      "4",
      "--json",
      "out.json",
    ];
    const done = run(script, "model", ...options);
    expect(done.status, done.stderr).toBe(0);
    const said = JSON.parse(readFileSync(path.join(folder, "out.json"), "utf8"));
    expect(Object.keys(said.rows)).toEqual(["step, step file", "prompt of 40", "step, B = 1", "step, B = 4"]);
    for (const { ms, least, most } of Object.values<Record<string, number>>(said.rows)) {
      expect(least).toBeGreaterThan(0);
      expect(ms).toBeLessThanOrEqual(most!);
    }
    expect(said.elsewhere).toEqual([]);
    expect(Object.keys(said.nodes.model)).toEqual(["CPUExecutionProvider"]);
  });

  test("names the nodes that fall back", () => {
    // without a GPU all of them do
    const code = `
import sys
sys.path.insert(0, ${JSON.stringify(path.dirname(script))})
import cuda
counts, foreign = cuda.elsewhere(cuda.Path("model/onnx/model_step.onnx"), "cuda", "cpu")
print(len(foreign), sorted({each.split()[0] for each in foreign}))`;
    const hasGpu = run(
      "-c",
      "import onnxruntime, sys; sys.exit('CUDAExecutionProvider' in onnxruntime.get_available_providers())",
    );
    if (hasGpu.status !== 0) return;
    const done = run("-c", code);
    expect(done.status, done.stderr).toBe(0);
    expect(done.stdout).toMatch(/MatMul/);
  });

  test("says what is missing", () => {
    const done = run(script, "model", "--provider", "cuda", "--rounds", "1");
    expect(done.status).not.toBe(0);
    expect(done.stderr).toMatch(/onnxruntime-gpu|nvidia-smi/);
  });
});
