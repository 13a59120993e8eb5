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

  for (const [build, example, timeAxis] of [
    ["triangle", ["2x16x4"], 1],
    ["masked", ["2x16x4", "2x16:mask"], 1],
    ["channels_first", ["2x4x16", "2x1x16:mask"], 2],
  ] as const)
    test(`${build}: ${example.join(" and ")}, time on axis ${timeAxis}, is exported unchanged, and converts`, async () => {
      const { status, stderr, file } = run(build, "--example", ...example, "--time-axis", String(timeAxis));
      expect(status, stderr).toBe(0);
      expect(stderr).not.toContain("note:");
      const names = example.map((_, i) => `input_${i}`);
      const { layers, check } = await convert(file, {
        order: 4,
        timeAxis: Object.fromEntries(names.map((name) => [name, timeAxis])),
      });
      expect(layers).toHaveLength(1);
      expect(check.largest).toBeLessThan(check.tolerance);
    });

  test("switched: the file is for lengths up to the one where the module changes; `--longest` says that this is meant", () => {
    const { status, stderr } = run("switched", "--example", "2x16x4");
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/note: the file is for lengths up to 40: at batch size \d+ and length 41: \w+ is off by/);
    const meant = run("switched", "--example", "2x16x4", "--longest", "40");
    expect(meant.status, meant.stderr).toBe(0);
    expect(meant.stderr).not.toContain("note:");
  });

  test("table: a kernel that is cut to the input's length is that kernel beyond its end, and converts", async () => {
    const { status, stderr, file } = run("table", "--example", "2x16x4");
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain("note:");
    const { layers, check } = await convert(file, { horizon: 128 });
    expect(layers).toHaveLength(1);
    expect(check.largest).toBeLessThan(check.tolerance);
  });

  for (const build of ["table_centred", "table_reversed"])
    test(`${build}: zeros behind the table would be another model, so the file is for lengths up to its end`, () => {
      const { status, stderr } = run(build, "--example", "2x16x4");
      expect(status, stderr).toBe(0);
      expect(stderr).toMatch(/note: the file is for lengths up to 40: at batch size \d+ and length 41: /);
    });

  test("noisy: the run finds a file that is not the module, at every size, in real and in whole numbers", () => {
    const { status, stderr } = run("noisy", "--example", "2x16x4");
    expect(status, stderr).toBe(0);
    expect(stderr).toContain("note: the file is not the module");
    for (const [batch, length] of [
      [2, 16],
      [3, 9],
      [1, 17],
      [5, 37],
    ])
      for (const what of ["\\w+ is off by", "\\w+ differs in"])
        expect(stderr).toMatch(new RegExp(`at batch size ${batch} and length ${length}: ${what}`));
  });

  for (const [build, line, mend] of [
    ["stored_length", "input_ids.reshape(2, 64)", "x.shape[1] instead of numbers"],
    ["band", "torch.tril_indices(n, n, self.above)", "torch.where(i[:, None] >= i, x, 0)"],
  ] as const) {
    test(`${build}: the line that fixes a size is named, with the one that mends it`, () => {
      const { status, stderr, file } = run(build, ...(build === "band" ? ["--example", "2x16x4"] : []));
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

  test("each operator without a counterpart has the advice for its kind; of any other error the class and the line are said", () => {
    const { status, stdout, stderr } = spawnSync(python, [join("test", "export", "advice.py")], { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const said = JSON.parse(stdout.trim().split("\n").at(-1)!) as Record<string, string>;
    for (const [kind, operator, advice] of [
      ["written", "aten.index_reduce", "torch.where(mask, new, old)"],
      ["solved", "linalg_solve", "A solve with weights alone"],
      ["eigenvalues", "linalg_eigh", "register_buffer"],
      ["cumulative", "aten.cummax", "torch.cumsum"],
      ["ordered", "aten.kthvalue", "torch.topk(x, k) over channels"],
      ["custom", "mine.scan", "off in favour of its form in PyTorch"],
    ] as const) {
      expect(said[kind]).toContain(operator);
      expect(said[kind]).toContain("has no counterpart in ONNX");
      expect(said[kind]).toMatch(/advice\.py:\d+/);
      expect(said[kind]).toContain(advice);
    }
    expect(said.broken).toMatch(/^PyTorch's exporter stops with RuntimeError \(.*advice\.py:\d+\)\n {2}size mismatch/);
  });

  // the exporter takes it without a word
  test("frozen: a fixed length is pointed out", () => {
    const { status, stderr } = run("frozen");
    expect(status).toBe(0);
    expect(stderr).toContain("x.shape[1]");
  });
});
