/** The suite on a small model: every part runs, and what it gives are rows of numbers. No time is asserted. */
import { afterAll, expect, test } from "vitest";
import type { ConvertOptions } from "../../converter/conversion.ts";
import { convert } from "../../converter/convert.ts";
import { writeModel } from "../../converter/file/write.ts";
import { scratch } from "../../test/command.ts";
import { zooModel } from "../../test/testdata.ts";
import { benchmarksPage } from "./report.ts";
import { conversionRows, runSuite } from "./suite.ts";

const dir = scratch();
afterAll(() => dir.remove());

test("every part measures", async () => {
  const { file: exported } = zooModel("tnn-fft-opset18");
  const make = async (name: string, options: ConvertOptions) => {
    const file = dir.at(`${name}.onnx`);
    await writeModel((await convert(exported, options)).model, file);
    return file;
  };
  const [compact, exact] = [await make("compact", { horizon: 64 }), await make("exact", { horizon: 64, exact: true })];
  // its matrices are too small to be stored as int4
  const files = { exported, compact, compact2048: compact, exact512: exact, exact2048: exact, int4: compact };
  const parts: string[] = [];
  const rows = await runSuite(files, { rounds: 2, threads: 1, late: 600, onProgress: (what) => parts.push(what) });
  rows.push(...conversionRows(exported, { file: compact, seconds: 1, peakBytes: 1e8 }));
  expect(parts).toHaveLength(10);
  expect(new Set(rows.map(({ what }) => what)).size).toBe(16);
  for (const { value, low, high } of rows) expect([value, low, high].every(Number.isFinite)).toBe(true);
  const machine = { cpu: "any", cores: 2, node: "v20" };
  const page = benchmarksPage({ machine, threads: 1, rounds: 2, load: [0, 0], rows }, undefined);
  for (const { what } of rows) expect(page).toContain(`| ${what} |`);
});
