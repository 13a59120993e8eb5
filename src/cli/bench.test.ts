/** bench on small models: what is timed is what it says, and the numbers are numbers. No time is asserted. */

import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { analyse } from "../../converter/analyse.ts";
import { convert } from "../../converter/convert.ts";
import { readModel } from "../../converter/file/read.ts";
import { writeModel } from "../../converter/file/write.ts";
import { floorOf } from "../../converter/floor/floor.ts";
import { int64Tensor } from "../../converter/graph/tensor.ts";
import { openModel } from "../../converter/ort/run.ts";
import { randomInputs } from "../../converter/parts/feeds.ts";
import { longconv, scratch } from "../../test/command.ts";
import { demoModel, zooModel } from "../../test/testdata.ts";
import { openForBench, reader, start, stepper } from "../bench/drive.ts";
import { interleave, quantile, ratioOf } from "../bench/measure.ts";
import { METADATA } from "../contract.ts";
import { ERROR_EXIT_CODES, type ErrorCode } from "../errors.ts";

const dir = scratch();
afterAll(() => dir.remove());
const NAME = "tnn-fft-opset18";
const converted = dir.at("converted.onnx");
beforeAll(async () => {
  await writeModel((await convert(zooModel(NAME).file, { horizon: 64 })).model, converted);
});

describe("the floor", () => {
  test.each([NAME, "tnn-heads", "tnn-time-last", "filterbank"])(
    "%s: no states, the original's shapes",
    async (name) => {
      const original = await readModel(zooModel(name).file);
      const found = await analyse(original);
      const floor = await floorOf(found, { attentionMask: false, numLogitsToKeep: false });
      expect(floor.graph.inputs.map((input) => input.name)).toEqual(original.graph.inputs.map((input) => input.name));
      expect(floor.graph.outputs.map((output) => output.name)).toEqual(original.graph.outputs.map((each) => each.name));
      expect(floor.graph.nodes.some(({ op }) => ["DFT", "If"].includes(op))).toBe(false);
      const [whole, cut] = [await openModel(original), await openModel(floor)];
      const feeds = randomInputs(found.graphs, found.constants, { batch: 1, time: 16 }, 5);
      const [wanted, got] = [await whole.run(feeds), await cut.run(feeds)];
      for (const output of whole.outputs) {
        expect(got[output]!.dims).toEqual(wanted[output]!.dims);
        expect((got[output]!.data as Float32Array).every(Number.isFinite)).toBe(true);
      }
      await Promise.all([whole.close(), cut.close()]);
    },
  );

  test("it is pointwise along time: a token's logits depend on no other token", async () => {
    const found = await analyse(await readModel(zooModel(NAME).file));
    const floor = await openModel(await floorOf(found, { attentionMask: false, numLogitsToKeep: false }));
    const logits = async (ids: number[]) =>
      (await floor.run({ input_ids: int64Tensor([1, ids.length], ids) })).logits!.data as Float32Array;
    const [many, one] = [await logits([3, 9, 4]), await logits([4])];
    const last = many.subarray(-one.length);
    for (let k = 0; k < one.length; k++) expect(last[k]).toBeCloseTo(one[k]!, 5);
    await floor.close();
  });
});

test("the timed step carries the state: steps give what one pass gives", async () => {
  const model = await readModel(converted);
  const opened = await openForBench(model);
  const step = { input_ids: int64Tensor([1, 1], [7]) };
  const tokens = 6;
  const run = await stepper(opened, step, start(opened, 1));
  // the first token is read when the stepper is made
  for (let i = 1; i < tokens - 1; i++) await run();
  const seen: Record<string, { data: unknown }>[] = [];
  const plain = opened.session.run.bind(opened.session);
  opened.session.run = (async (...args: Parameters<typeof plain>) => {
    const outputs = await plain(...args);
    seen.push(outputs);
    return outputs;
  }) as typeof plain;
  await run();
  const read = reader(opened, { input_ids: int64Tensor([1, tokens], Array(tokens).fill(7)) }, tokens, start(opened, 1));
  await read();
  expect(seen.length).toBe(2);
  for (const { present } of opened.states) {
    const [stepped, whole] = seen.map((outputs) => outputs[present]!.data as Float32Array);
    expect(Math.max(...whole!.map((value, i) => Math.abs(value - stepped![i]!)))).toBeLessThan(1e-4);
    expect(Math.max(...whole!.map(Math.abs))).toBeGreaterThan(1e-3);
  }
  await opened.close();
});

test("where a sequence ends, the timed step begins again, from the same states", async () => {
  const opened = await openForBench(await readModel(converted));
  const begin = start(opened, 1);
  const outputs: Float32Array[] = [];
  const plain = opened.session.run.bind(opened.session);
  opened.session.run = (async (...args: Parameters<typeof plain>) => {
    const results = await plain(...args);
    outputs.push(Float32Array.from(results[opened.states[0]!.present]!.data as Float32Array));
    return results;
  }) as typeof plain;
  const end = 3;
  const run = await stepper(opened, { input_ids: int64Tensor([1, 1], [7]) }, begin, 1, end);
  for (let i = 1; i < 3 * end; i++) await run();
  expect(outputs).toHaveLength(3 * end);
  for (const [i, values] of outputs.entries()) expect(values).toEqual(outputs[i % end]);
  expect(outputs[1]).not.toEqual(outputs[0]);
  for (const tensor of Object.values(begin.states))
    expect((tensor.data as Float32Array).every((x) => x === 0)).toBe(true);
  await opened.close();
});

test("interleaved rounds: medians, and ratios of pairs", async () => {
  const order: string[] = [];
  const lasting = (name: string, ms: number) => ({
    name,
    run: async () => {
      order.push(name);
      vi.advanceTimersByTime(ms);
    },
  });
  vi.useFakeTimers({ toFake: ["performance"] });
  const [a, b] = await interleave([lasting("a", 1), lasting("b", 4)], { rounds: 4, roundMs: 1 }).finally(() => {
    vi.useRealTimers();
  });
  // two runs of each to find how often to repeat, then rounds that turn round
  expect(
    order
      .slice(4)
      .filter((name, i, all) => name !== all[i - 1])
      .join(""),
  ).toBe("ababa");
  expect([a!.ms, b!.ms, ratioOf(b!, a!).ratio]).toEqual([1, 4, 4]);
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([5, 1, 3], 0.25)).toBe(2);
});

describe("the command", () => {
  test("--json is one document of positive numbers, and there is a picture", async () => {
    const picture = dir.at("bench.svg");
    const args = ["--contexts", "16,64", "--prompt", "32", "--batch", "4", "--rounds", "2", "--picture", picture];
    const run = await longconv(["bench", zooModel(NAME).file, converted, ...args, "--json"]);
    expect(run.code, run.stderr).toBe(0);
    const report = JSON.parse(run.stdout);
    const times = [report.decode, report.prompt].flatMap(({ converted: own, floor, exported }) => [
      own,
      floor,
      ...exported.map(({ timing }: { timing: unknown }) => timing),
    ]);
    expect(report.decode.exported.map(({ context }: { context: number }) => context)).toEqual([16, 64]);
    expect(times.length).toBe(7);
    for (const { ms, low, high, samples } of [...times, report.batch.timing]) {
      for (const value of [ms, low, high, ...samples]) expect(value).toBeGreaterThan(0);
      expect(low <= ms && ms <= high).toBe(true);
      expect(samples.length).toBe(2);
    }
    const ratios = [report.decode.overFloor, report.prompt.overFloor, report.batch.timesOne];
    for (const { ratio } of ratios) expect(Number.isFinite(ratio) && ratio > 0).toBe(true);
    expect(report.batch.tokensPerSecond).toBeCloseTo(4000 / report.batch.timing.ms, 3);
    const svg = readFileSync(picture, "utf8");
    expect(svg).toMatch(/^<svg[\s>]/);
    expect(svg).toContain("exported, context 64");
    expect(existsSync(picture)).toBe(true);
  });

  test.each(["--csv", "--md", "--json"])("%s of two models, with what they take", async (how) => {
    const small = dir.at("small.onnx");
    copyFileSync(converted, small);
    const args = ["--contexts", "16", "--prompt", "8", "--rounds", "2", how];
    const run = await longconv(["bench", zooModel(NAME).file, converted, small, ...args]);
    expect(run.code, run.stderr).toBe(0);
    const layers = JSON.parse((await readModel(converted)).metadata.get(METADATA.layers)!);
    const state = layers.reduce((sum: number, { order, channels }: never) => sum + 4 * order * channels, 0);
    if (how === "--json") {
      const { reports } = JSON.parse(run.stdout);
      for (const { memory } of reports) expect(memory.stateBytes).toBe(state);
      expect(reports.map((report: { converted: string }) => report.converted)).toEqual([converted, small]);
      return;
    }
    const cells = (line: string) =>
      how === "--csv" ? line.split(",") : line.split(" | ").map((x) => x.replace(/^\| | \|$/g, ""));
    const [heading, ...lines] = run.stdout.trimEnd().split("\n").map(cells);
    expect(heading).toEqual(
      expect.arrayContaining(["model", "median_ms", "weight_bytes", "state_bytes", "resident_bytes"]),
    );
    const rows = lines.filter(([first]) => first !== "---");
    expect(rows.map(([model]) => model)).toEqual([...Array(6).fill(converted), ...Array(6).fill(small)]);
    for (const row of rows) expect(row).toHaveLength(heading!.length);
    const cell = (row: string[], title: string) => Number(row[heading!.indexOf(title)]);
    expect(cell(rows[0]!, "state_bytes")).toBe(state);
    // Node and ONNX Runtime alone take more than 40 MB
    for (const row of rows.filter((each) => !each.includes("floor")))
      expect(cell(row, "resident_bytes")).toBeGreaterThan(40e6);
  });

  test("a folder, whose length cache has no elements", async () => {
    const { file } = zooModel(NAME);
    const folder = dir.at("folder");
    const made = await longconv(["convert", file, "-o", folder, "--exact", "--horizon", "64"]);
    expect(made.code, made.stderr).toBe(0);
    const { graph } = await readModel(dir.at("folder/onnx/model.onnx"));
    expect(graph.inputs.map(({ name }) => name)).toContain("past_key_values.0.key");
    const args = ["--contexts", "16", "--prompt", "8", "--batch", "2", "--rounds", "2", "--json"];
    const run = await longconv(["bench", file, folder, ...args]);
    expect(run.code, run.stderr).toBe(0);
    expect(JSON.parse(run.stdout).decode.converted.ms).toBeGreaterThan(0);
  });

  test.each([
    [[zooModel(NAME).file, zooModel(NAME).file], "not-converted"],
    [["missing.onnx", "missing.onnx"], "file-missing"],
    // more words than the converted model's table has
    [[demoModel().file, converted, "--contexts", "16", "--rounds", "2"], "runtime-failed"],
  ])("%j is refused", async (args, code) => {
    const run = await longconv(["bench", ...args, "--json"]);
    expect(JSON.parse(run.stdout).error.code).toBe(code);
    expect(run.code).toBe(ERROR_EXIT_CODES[code as ErrorCode]);
    expect(run.stderr).not.toMatch(/ at .*\.js:\d+/);
  });
});
