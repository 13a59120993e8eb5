/** `weights` in the pipeline, on a small model of the paper's kind. Expected values: the same conversion in float32. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildTnn } from "../../scripts/paper-model.ts";
import { METADATA, pairStates } from "../../src/contract.ts";
import { analyse } from "../analyse.ts";
import type { Conversion } from "../conversion.ts";
import { convert } from "../convert.ts";
import { initializerBytes } from "../file/encode.ts";
import { readModel } from "../file/read.ts";
import { writeModel } from "../file/write.ts";
import { createBuilder, initializerOf } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { DataType, float32Tensor } from "../graph/tensor.ts";
import { compareWeights } from "./compare.ts";
import { inFewerBits } from "./fewer-bits.ts";
import { storeWeights } from "./store.ts";
import { WEIGHT_KINDS } from "./weights.ts";

const SIZE = {
  layers: 1,
  width: 64,
  channels: 32,
  hidden: 64,
  vocabulary: 100,
  rpeWidth: 16,
  rpeDepth: 1,
  gamma: 0.99,
};
const folder = mkdtempSync(join(tmpdir(), "longconv-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "tnn.onnx");

/** The model with the embedding's transpose as its head, as exporters write tied weights. */
function tied(model: Model): Model {
  const find = (dims: string) => [...model.graph.initializers.values()].find((each) => each.dims.join() === dims)!;
  const [table, head] = [find("100,64"), find("64,100")];
  const values = table.tensor().data as Float32Array;
  const b = createBuilder(18);
  const name = b.floats(
    head.name,
    [64, 100],
    values.map((_, i) => values[(i % 100) * 64 + Math.floor(i / 100)]!),
  );
  const initializers = new Map(model.graph.initializers).set(name, b.initializers.get(name)!);
  return { ...model, graph: { ...model.graph, initializers } };
}

let plain: Conversion;
const options = { horizon: 64, tolerance: 1e-3, stepFile: true };
beforeAll(async () => {
  await writeModel(tied(buildTnn(SIZE)), file);
  plain = await convert(file, options);
});

test("tied weights are one tensor in the converted model", () => {
  const sizes = [...plain.model.graph.initializers.values()].map(({ dims }) => dims.join());
  expect(sizes.filter((dims) => ["100,64", "64,100"].includes(dims))).toHaveLength(1);
  expect(plain.weights).toBeUndefined();
});

test.each(WEIGHT_KINDS)("%s: compared, smaller, states as they were", async (weights) => {
  const { model, step, weights: report, check } = await convert(file, { ...options, weights });
  expect(report).toMatchObject({ kind: weights, matrices: 7 });
  expect(report!.rms).toBeGreaterThan(0);
  expect(report!.rms).toBeLessThan({ float16: 2e-3, int8: 0.03, int4: 0.3 }[weights]);
  expect(report!.sameArgmax).toBeGreaterThan(0.5);
  expect(check.largest).toBe(plain.check.largest);
  expect(JSON.parse(model.metadata.get(METADATA.check)!).weights).toEqual(report);
  expect(initializerBytes(model)).toBeLessThan(0.8 * initializerBytes(plain.model));
  const states = (each: Model) => each.graph.inputs.filter(({ name }) => name.startsWith("past_"));
  expect(states(model)).toEqual(states(plain.model));
  expect(states(model).every(({ type }) => type === DataType.FLOAT)).toBe(true);
  expect(pairStates(...namesOf(model))).toHaveLength(1);
  // the constants of the recurrence are bit for bit what they were
  const [before, after] = [plain.model.graph.initializers, model.graph.initializers];
  const source = new Set([...before.values()].filter(({ dims }) => dims.length === 2).map(({ name }) => name));
  for (const [name, initializer] of before)
    if (!source.has(name)) expect(after.get(name)?.bytes()).toEqual(initializer.bytes());
  for (const [name, initializer] of step!.graph.initializers)
    if (name.includes("_int")) expect(after.get(name)).toBe(initializer);
});

test.each(WEIGHT_KINDS)("%s: a converted file, without solving again, is what the conversion makes", async (kind) => {
  const { model, weights } = await convert(file, { ...options, weights: kind });
  await writeModel(plain.model, join(folder, `${kind}.onnx`));
  const again = await storeWeights(await readModel(join(folder, `${kind}.onnx`)), kind);
  expect([...again.model.graph.initializers.keys()].sort()).toEqual([...model.graph.initializers.keys()].sort());
  for (const [name, initializer] of model.graph.initializers)
    expect(Buffer.compare(again.model.graph.initializers.get(name)!.bytes(), initializer.bytes()), name).toBe(0);
  expect(again.weights).toMatchObject({ kind, matrices: weights!.matrices, bytes: weights!.bytes, positions: 64 });
  expect(again.weights.rms / weights!.rms).toBeGreaterThan(0.5);
  expect(again.weights.rms / weights!.rms).toBeLessThan(2);
  expect(JSON.parse(again.model.metadata.get(METADATA.check)!).weights).toEqual(again.weights);
});

test("only what a converter has made, with matrices that are left", async () => {
  await expect(storeWeights(await readModel(file), "int8")).rejects.toMatchObject({ code: "not-converted" });
  const { model } = await storeWeights(plain.model, "int8");
  await expect(storeWeights(model, "int4")).rejects.toMatchObject({ code: "usage" });
});

const namesOf = ({ graph }: Model): [string[], string[]] => [
  graph.inputs.map(({ name }) => name),
  graph.outputs.map(({ name }) => name),
];

test("the model for one token a call is compared as well: one that forgets a layer is refused", async () => {
  const found = await analyse(await readModel(file));
  const models = { model: plain.model, step: plain.step };
  const fewer = inFewerBits(found, models, "int8");
  await compareWeights(found, models, fewer);
  const stored = [...fewer.step!.graph.initializers.keys()].filter((name) => name.endsWith("_scales"));
  const broken = new Map(fewer.step!.graph.initializers);
  for (const name of stored) {
    const { dims } = broken.get(name)!;
    broken.set(name, initializerOf(name, float32Tensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)))));
  }
  const step = { ...fewer.step!, graph: { ...fewer.step!.graph, initializers: broken } };
  await expect(compareWeights(found, models, { ...fewer, step })).rejects.toMatchObject({ code: "check-failed" });
});
