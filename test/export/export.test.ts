/** The Python export helper, where Python has torch, onnx and onnxscript; said aloud where it has not. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { convert } from "../../converter/convert.ts";

/** Set LONGCONV_PYTHON to a Python that has torch, to run these where `python3` has not. */
const python = process.env.LONGCONV_PYTHON ?? "python3";
const found = spawnSync(python, ["-c", "import torch, onnx, onnxscript"], { encoding: "utf8" });
const hasTorch = found.status === 0;
if (!hasTorch)
  console.warn(
    `test/export is skipped: ${python} has no torch, onnx and onnxscript (pip install torch onnx onnxscript, or set LONGCONV_PYTHON)`,
  );

const folder = mkdtempSync(join(tmpdir(), "longconv-export-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(build: string): { status: number | null; stderr: string; file: string } {
  const file = join(folder, `${build}.onnx`);
  const helper = join("scripts", "export", "longconv_export.py");
  const target = `${join("test", "export", "modules.py")}:${build}`;
  const result = spawnSync(python, [helper, target, "--example", "2x64", "--vocabulary", "61", "--out", file], {
    encoding: "utf8",
  });
  return { status: result.status, stderr: result.stderr, file };
}

describe.skipIf(!hasTorch)("scripts/export/longconv_export.py", () => {
  for (const build of ["plain", "by_long_conv"]) {
    test(`${build}: exports with dynamic length, and converts`, { timeout: 300_000 }, async () => {
      const { status, stderr, file } = run(build);
      expect(stderr).not.toContain("note:");
      expect(status).toBe(0);
      const { layers, check } = await convert(file, { order: 16 });
      expect(layers).toHaveLength(2);
      expect(check.largest).toBeLessThan(check.tolerance);
    });
  }

  test("complex_unsqueeze: fails with the line that mends it", { timeout: 300_000 }, () => {
    const { status, stderr, file } = run("complex_unsqueeze");
    expect(status).not.toBe(0);
    expect(stderr).toContain("rfft(a.unsqueeze(0))");
    expect(existsSync(file)).toBe(false);
  });

  // the exporter takes these without a word
  for (const build of ["stored_length", "frozen"]) {
    test(`${build}: a fixed length is pointed out`, { timeout: 300_000 }, () => {
      const { status, stderr } = run(build);
      expect(status).toBe(0);
      expect(stderr).toContain("x.shape[1]");
    });
  }
});
