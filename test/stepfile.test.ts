/** The file for one token: static, without control flow, sharing its weights, and right for every model of the zoo. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { writeNewModel } from "../converter/file/write.ts";
import type { Model } from "../converter/graph/graph.ts";
import { DataType } from "../converter/graph/tensor.ts";
import { outlineOf } from "../runtime/sessions/outline.ts";
import { inMemory } from "../runtime/sessions/wire.ts";
import { pairStates } from "../src/contract.ts";
import { InferenceSession, Tensor as OrtTensor } from "../src/onnxruntime-node.ts";
import { casesOf, zooModel, zooModels } from "./testdata.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "longconv-step-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Nodes that a GPU could not run, or that would need a shape while it runs. */
const DYNAMIC = ["If", "Loop", "Scan", "Shape", "Range", "NonZero", "ConstantOfShape"];

test.each(zooModels())("$name, token by token", async (zoo) => {
  const { step } = await convert(zoo.file, { exact: true, horizon: 48, stepFile: true });
  expect(step!.graph.nodes.map(({ op }) => op).filter((op) => DYNAMIC.includes(op))).toEqual([]);
  for (const { dims } of [...step!.graph.inputs, ...step!.graph.outputs])
    expect(dims!.every((dim) => typeof dim === "number")).toBe(true);
  const session = await InferenceSession.create(encodeModel(step!));
  const { input, output } = casesOf(zoo)[0]!;
  const [, length = 0] = input.tensor.dims;
  const width = output.tensor.dims.at(-1)!;
  const expected = output.tensor.data as Float32Array;
  const largest = expected.subarray(0, length * width).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const pairs = pairStates(session.inputNames, session.outputNames);
  let states = zeroStates(step!);
  let worst = 0;
  for (let position = 0; position < Math.min(length, 48); position++) {
    const results = await session.run({ ...states, [input.name]: tokenOf(input.tensor.data, input.tensor, position) });
    states = Object.fromEntries(pairs.map(({ past, present }) => [past, results[present]!]));
    const got = results[output.name]!.data as Float32Array;
    for (let k = 0; k < width; k++) worst = Math.max(worst, Math.abs(got[k]! - expected[position * width + k]!));
  }
  expect(worst).toBeLessThanOrEqual(1e-4 * largest);
});

test("shares its weights with the other file, byte for byte", async () => {
  const { model, step } = await convert(zooModel("mixed").file, { exact: true, horizon: 48, stepFile: true });
  const sizeOf = async (file: string) => (await stat(path.join(folder, file))).size;
  await writeNewModel(model, path.join(folder, "alone.onnx"), { externalData: "always", dataFile: "alone.data" });
  const sharing = [{ model: step!, file: path.join(folder, "both_step.onnx") }];
  await writeNewModel(model, path.join(folder, "both.onnx"), { sharing, dataFile: "both.data" });
  // Only what the step has of its own is added: its transition in another layout.
  expect(await sizeOf("both.data")).toBeLessThanOrEqual(1.02 * (await sizeOf("alone.data")));
  const external = await InferenceSession.create(path.join(folder, "both_step.onnx"));
  const embedded = await InferenceSession.create(encodeModel(step!));
  const feeds = { ...zeroStates(step!), input_ids: new OrtTensor("int64", [3n], [1, 1]) };
  const [a, b] = [await external.run(feeds), await embedded.run(feeds)];
  expect(a.logits!.data).toEqual(b.logits!.data);
});

test("the names of its outputs can be read off its bytes", async () => {
  const { step } = await convert(zooModel("h3").file, { exact: true, horizon: 48, stepFile: true });
  const { graph } = outlineOf(inMemory(encodeModel(step!)));
  expect(graph).toMatchObject({
    outputNames: step!.graph.outputs.map(({ name }) => name),
    inputNames: step!.graph.inputs.map(({ name }) => name),
    expansion: { nodes: step!.graph.nodes.length },
  });
  expect(outlineOf(inMemory(new TextEncoder().encode("not a model"))).graph).toBeUndefined();
});

function zeroStates(model: Model): Record<string, OrtTensor> {
  const states = model.graph.inputs.filter(({ name }) => name.startsWith("past_"));
  return Object.fromEntries(
    states.map(({ name, dims }) => {
      const sizes = dims!.map(Number);
      return [name, new OrtTensor("float32", new Float32Array(sizes.reduce((a, b) => a * b)), sizes)];
    }),
  );
}

/** Position of row 0 of the input, [1, 1, …]. */
function tokenOf(
  data: unknown,
  { type, dims }: { type: number; dims: readonly number[] },
  position: number,
): OrtTensor {
  const inner = dims.slice(2).reduce((a, b) => a * b, 1);
  const shape = [1, 1, ...dims.slice(2)];
  if (type === DataType.INT64)
    return new OrtTensor("int64", (data as BigInt64Array).slice(position, position + 1), shape);
  return new OrtTensor("float32", (data as Float32Array).slice(position * inner, (position + 1) * inner), shape);
}
