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

function run(build: string, ...more: string[]): { status: number | null; stderr: string; file: string } {
  const file = join(folder, `${build}.onnx`);
  const helper = join("scripts", "export", "longconv_export.py");
  const target = `${join("test", "export", "modules.py")}:${build}`;
  const result = spawnSync(python, [helper, target, "--vocabulary", "61", "--out", file, ...more], {
    encoding: "utf8",
  });
  return { status: result.status, stderr: result.stderr, file };
}

describe.skipIf(!hasTorch)("scripts/export/longconv_export.py", () => {
  for (const build of ["by_long_conv", "complex_unsqueeze"]) {
    test(`${build}: exports unchanged with dynamic length, is run at other sizes, and converts`, async () => {
      const { status, stderr, file } = run(build);
      expect(stderr).not.toContain("note:");
      expect(status).toBe(0);
      const { layers, check } = await convert(file, { order: 16 });
      expect(layers).toHaveLength(2);
      expect(check.largest).toBeLessThan(check.tolerance);
    });
  }

  for (const [build, line, mend] of [
    ["stored_length", "input_ids.reshape(2, 64)", "x.shape[1] instead of numbers"],
    ["triangle", "torch.tril_indices(n, n)", "torch.where(i[:, None] >= i, x, 0)"],
  ] as const) {
    test(`${build}: the line that fixes a size is named, with the one that mends it`, () => {
      const { status, stderr, file } = run(build, ...(build === "triangle" ? ["--example", "2x16x4"] : []));
      expect(status).not.toBe(0);
      const [said, page] = stderr.split("the exporter said:");
      expect(said).toContain(line);
      expect(said).toContain(mend);
      expect(page).toContain("Constraints violated");
      expect(existsSync(file)).toBe(false);
    });
  }

  test("stored_length: exports for the length that it is meant for", () => {
    const { status, stderr, file } = run("stored_length", "--fixed", "--no-check");
    expect(status, stderr).toBe(0);
    expect(existsSync(file)).toBe(true);
  });

  test("eigenvalues: the advice is for its own operator", () => {
    const { status, stderr } = run("eigenvalues", "--example", "2x16x4");
    expect(status).not.toBe(0);
    const [said] = stderr.split("the exporter said:");
    expect(said).toContain("linalg_eig");
    expect(said).toContain("modules.py:");
    expect(said).toContain("register_buffer");
  });

  // the exporter takes it without a word
  test("frozen: a fixed length is pointed out", () => {
    const { status, stderr } = run("frozen");
    expect(status).toBe(0);
    expect(stderr).toContain("x.shape[1]");
  });
});
