/** pytorch-tcn of PyPI: exported as it is trained, converted, and run frame by frame it gives what the package's own streaming mode gives. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { joinRows } from "../converter/graph/join.ts";
import type { Tensor } from "../converter/graph/tensor.ts";
import { carried } from "../converter/ort/carried.ts";
import { openModel } from "../converter/ort/run.ts";
import { ROOT } from "../scripts/root.ts";
import { casesOf, relativeDifference } from "./testdata.ts";

const folder = mkdtempSync(path.join(tmpdir(), "longconv-tcn-"));
afterAll(() => rmSync(folder, { recursive: true }));

const python = process.env.LONGCONV_PYTHON ?? "python3";
const packages = path.join(folder, "packages");
const WHEEL = "pytorch-tcn==1.2.3";
const run = (args: readonly string[], env = {}) =>
  spawnSync(python, args, { encoding: "utf8", env: { ...process.env, PYTHONPATH: packages, ...env } });

const hasTorch = run(["-c", "import torch, onnx, onnxscript"]).status === 0;
const fetched =
  hasTorch &&
  run(["-m", "pip", "install", "-q", "--no-deps", "--retries", "0", "--target", packages, WHEEL]).status === 0;
if (!fetched)
  console.warn(
    `test/pytorch-tcn is skipped: ${hasTorch ? `${python} -m pip install gives no ${WHEEL}` : `${python} has no torch, onnx and onnxscript (LONGCONV_PYTHON names one that has)`}`,
  );

/** Along the last axis, as [batch, channels, time] has it. */
const TIME = 2;

describe.skipIf(!fetched)("pytorch-tcn", () => {
  test("converted, frame by frame: what its own streaming mode gives", async () => {
    writeFileSync(path.join(folder, "stream.json"), "[]");
    const made = run([path.join(ROOT, "test", "models", "make", "tcn.py"), folder]);
    expect(made.status, made.stderr).toBe(0);
    const { model, claim } = await convert(path.join(folder, "pytorch-tcn", "model.onnx"));
    expect(claim).toEqual({ kind: "proven" });
    const runner = await openModel(model);
    const cases = casesOf({ folder: path.join(folder, "pytorch-tcn") });
    expect(cases.length).toBe(2);
    for (const { inputs, outputs } of cases) {
      const [{ name, tensor: signal }, wanted] = [inputs[0]!, outputs[0]!];
      const pieces = carried(model.graph, runner, signal.dims[0]!);
      const frames: Tensor[] = [];
      for (let t = 0; t < signal.dims[TIME]!; t++) {
        const results = await pieces.next(1, { [name]: joinRows([{ tensor: signal, from: t, to: t + 1 }], TIME) });
        frames.push(results[wanted.name]!);
      }
      const got = joinRows(
        frames.map((tensor) => ({ tensor, from: 0, to: 1 })),
        TIME,
      );
      expect(relativeDifference(got, wanted.tensor)).toBeLessThan(1e-5);
    }
    await runner.close();
  });
});
