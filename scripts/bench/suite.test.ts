/**
 * The suite on a small model: every part runs, and what it gives are rows of numbers. No time is asserted. What a process takes
 * is measured by the built program only.
 */
import { afterAll, expect, test } from "vitest";
import type { ConvertOptions } from "../../converter/conversion.ts";
import { convert } from "../../converter/convert.ts";
import { readModel } from "../../converter/file/read.ts";
import { writeModel } from "../../converter/file/write.ts";
import { reduceWeights, type WeightKind } from "../../converter/weights/weights.ts";
import { scratch } from "../../test/command.ts";
import { PAPER_SIZE, writeTnn } from "../paper-model.ts";
import { benchmarksPage } from "./report.ts";
import { conversionRows, runSuite } from "./suite.ts";

/** Matrices large enough to be stored in fewer bits. */
const SIZE = { ...PAPER_SIZE, layers: 1, width: 64, channels: 64, hidden: 64, vocabulary: 256, rpeWidth: 16 };
const dir = scratch();
afterAll(() => dir.remove());

test("every part measures", async () => {
  const exported = dir.at("exported.onnx");
  await writeTnn(exported, SIZE);
  const make = async (name: string, options: ConvertOptions) => {
    const file = dir.at(`${name}.onnx`);
    await writeModel((await convert(exported, options)).model, file);
    return file;
  };
  const [compact, exact] = [await make("compact", { horizon: 64 }), await make("exact", { horizon: 64, exact: true })];
  const source = new Set((await readModel(exported)).graph.initializers.keys());
  const reduced = async (kind: WeightKind) => {
    const file = dir.at(`${kind}.onnx`);
    await writeModel(reduceWeights(await readModel(compact), kind, source).model, file);
    return file;
  };
  const [int8, int4] = [await reduced("int8"), await reduced("int4")];
  const files = { exported, compact, compact2048: compact, exact512: exact, exact2048: exact, int8, int4 };
  const parts: string[] = [];
  const { rows, peers } = await runSuite(files, {
    rounds: 2,
    threads: 1,
    late: 600,
    prompts: [64, 256],
    others: { size: SIZE, contexts: [], python: undefined, folder: dir.folder },
    onProgress: (what) => parts.push(what),
  });
  rows.push(...conversionRows(exported, { file: compact, seconds: 1, peakBytes: 1e8 }));
  expect(parts).toHaveLength(13);
  expect(new Set(rows.map(({ what }) => what)).size).toBe(23);
  for (const { value, low, high } of rows) expect([value, low, high].every(Number.isFinite)).toBe(true);
  expect(peers.map(({ what }) => what)).toEqual(["converted", "exact ETSC, 512 states, here", "window of 512 inputs"]);
  for (const { timing, stateBytes } of peers) expect([timing.ms > 0, stateBytes > 0]).toEqual([true, true]);
  const machine = { cpu: "any", cores: 2, node: "v20" };
  const page = benchmarksPage(
    { machine, threads: 1, rounds: 2, load: [0, 0], rows, peers, python: undefined },
    undefined,
  );
  for (const { what } of peers) expect(page).toContain(`| ${what} |`);
  for (const { what } of rows) expect(page).toContain(`| ${what} |`);
});
