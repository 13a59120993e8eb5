/** Files of old opsets, and of one that no runtime has yet, as they are converted. */
import path from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { openConverted } from "../../test/converted.ts";
import { lowered, saidOf } from "../../test/lowered.ts";
import { casesOf, relativeDifference, zooModel } from "../../test/testdata.ts";
import type { Conversion } from "../conversion.ts";
import { convert, convertModel } from "../convert.ts";
import { inlineFunctions } from "../expand/inline.ts";
import { readModel } from "../file/read.ts";
import { createBuilder, makeModel, makeNode } from "../graph/build.ts";
import { LONGCONV_DOMAIN, LONGCONV_OP } from "../graph/longconv.ts";
import { DataType, float32Tensor, type Tensor } from "../graph/tensor.ts";
import { inspect } from "../inspect.ts";
import { openModel } from "../ort/run.ts";
import { lift } from "./lift.ts";

const streamed = (name: string): string => path.join(ROOT, "test", "models", "stream", name);

// Only these of the zoo can be said before opset 13: the others have a DFT; Einsum is of opset 12. All models: scripts/old-opsets.ts
test.each([
  ["tnn-conv1d", 11],
  ["tnn-toeplitz", 12],
  ["tnn-toeplitz-torchscript", 12],
])("%s at opset %i gives the same conversion", async (name, opset) => {
  const zoo = zooModel(name);
  const original = await readModel(zoo.file);
  const old = lowered(original, opset);
  expect(old.opsets.get("")).toBe(opset);
  const [now, then] = [await convertModel(original), await convertModel(old)];
  expect(saidOf(then)).toEqual(saidOf(now));
  expect(then.model.opsets.get("")).toBe(13);
  await sameAsExport(then, zoo);
});

test.each(["opset9", "opset12", "causal-conv-op"])("%s is converted", async (name) => {
  const folder = streamed(name);
  const conversion = await convert(
    path.join(folder, "model.onnx"),
    name === "opset9" ? { timeAxis: { signal: 2 } } : {},
  );
  expect(conversion.layers.length).toBeGreaterThan(0);
  await sameAsExport(conversion, { folder, ...(name === "opset9" && { axes: { signal: 2, features: 2 } }) });
});

async function sameAsExport(
  { model }: Conversion,
  { folder, axes = {} }: { readonly folder: string; readonly axes?: Readonly<Record<string, number>> },
): Promise<void> {
  const runner = await openConverted(model, axes);
  for (const { input, output } of casesOf({ folder })) {
    const length = input.tensor.dims[axes[input.name] ?? 1]!;
    for (const cuts of [[length], [7, 8, length]]) {
      const results = await runner.run({ [input.name]: input.tensor }, cuts);
      expect(relativeDifference(Object.values(results)[0]!, output.tensor)).toBeLessThan(1e-4);
    }
  }
  await runner.close();
}

// the body of a LongConv is written here, for newer opsets than the file's
test.each([7, 11, 12])("a LongConv node in a file of opset %i", async (opset) => {
  const node = makeNode("conv", LONGCONV_OP, ["x", "kernel"], ["y"], { domain: LONGCONV_DOMAIN });
  const [n, lags] = [5, 3];
  const model = makeModel({
    inputs: [
      { name: "x", type: DataType.FLOAT, dims: [1, "n", 1] },
      { name: "kernel", type: DataType.FLOAT, dims: [lags, 1] },
    ],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: [1, "n", 1] }],
    ...{
      nodes: [node],
      initializers: [],
      opsets: new Map([
        ["", opset],
        [LONGCONV_DOMAIN, 1],
      ]),
    },
  });
  const runner = await openModel(lift(inlineFunctions(model)));
  const [x, kernel] = [spread([1, n, 1]), spread([lags, 1], 4)];
  const { y } = await runner.run({ x, kernel });
  const [taps, values] = [kernel, x].map(({ data }) => [...(data as Float32Array)]) as [number[], number[]];
  const wanted = values.map((_, i) => taps.reduce((sum, tap, k) => sum + tap * (values[i - k] ?? 0), 0));
  for (const [i, value] of wanted.entries()) expect((y!.data as Float32Array)[i]).toBeCloseTo(value, 5);
  await runner.close();
});

test("the report says the opset that the file has", async () => {
  const { opset, irVersion } = await inspect(path.join(streamed("opset9"), "model.onnx"));
  expect([opset, irVersion]).toEqual([9, 4]);
});

test.each(["causal-conv-op", "linear-attention-op"])("%s, as a graph of opset 26", async (name) => {
  const folder = streamed(name);
  const runner = await openModel(lift(inlineFunctions(await readModel(path.join(folder, "model.onnx")))));
  for (const { input, output } of casesOf({ folder })) {
    const results = await runner.run({ [input.name]: input.tensor });
    expect(relativeDifference(results[output.name]!, output.tensor)).toBeLessThan(1e-4);
  }
  await runner.close();
});

/** Numbers between −1 and 1 that repeat nowhere. */
const spread = (dims: readonly number[], from = 0): Tensor =>
  float32Tensor(
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, k) => (((k + from) * 0.6180339887) % 1) * 2 - 1),
  );

const [BATCH, LENGTH, HEADS, KEYS, VALUES] = [2, 5, 2, 3, 4];

test.each([
  ["linear", 2, 0, 0],
  ["gated", 4, HEADS, 0],
  ["gated", 2, HEADS * KEYS, 0],
  ["delta", 2, 0, HEADS],
  ["delta", 4, 0, 1],
  ["gated_delta", 4, HEADS * KEYS, HEADS],
] as const)("LinearAttention %s with %i heads, as ONNX Runtime's own has it", async (rule, queries, decay, beta) => {
  const feeds: Record<string, Tensor> = {
    q: spread([BATCH, LENGTH, queries * KEYS]),
    k: spread([BATCH, LENGTH, HEADS * KEYS], 7),
    v: spread([BATCH, LENGTH, HEADS * VALUES], 11),
    past: spread([BATCH, HEADS, KEYS, VALUES], 13),
    ...(decay && { decay: spread([BATCH, LENGTH, decay], 17) }),
    ...(beta && { beta: spread([BATCH, LENGTH, beta], 19) }),
  };
  const inputs = ["q", "k", "v", "past", decay ? "decay" : "", beta ? "beta" : ""];
  const attributes = { q_num_heads: queries, kv_num_heads: HEADS, update_rule: rule, scale: { float: 0.5 } };
  const modelOf = (opset: number, domain: string) =>
    makeModel({
      inputs: Object.entries(feeds).map(([name, { type, dims }]) => ({ name, type, dims })),
      outputs: ["y", "present"].map((name) => ({ name, type: DataType.FLOAT, dims: undefined })),
      nodes: [makeNode("node", "LinearAttention", inputs, ["y", "present"], { domain, attributes })],
      ...{ initializers: [], irVersion: 10 },
      opsets: new Map([
        ["", opset],
        ["com.microsoft", 1],
      ]),
    });
  const [own, lifted] = [await openModel(modelOf(21, "com.microsoft")), await openModel(lift(modelOf(27, "")))];
  const [expected, got] = [await own.run(feeds), await lifted.run(feeds)];
  for (const name of ["y", "present"]) expect(relativeDifference(got[name]!, expected[name]!)).toBeLessThan(1e-5);
  await Promise.all([own.close(), lifted.close()]);
});

test("CausalConvWithState goes on where a part of the sequence ended", async () => {
  const b = createBuilder(27, ["x", "past", "y", "present"]);
  const weight = b.constant("w", spread([3, 1, 4], 3));
  b.add("CausalConvWithState", ["x", weight, "", "past"], { activation: "swish" }, { outputs: ["y", "present"] });
  const info = (name: string, last: string | number) => ({ name, type: DataType.FLOAT, dims: ["b", 3, last] });
  const model = lift(
    makeModel({
      inputs: [info("x", "n"), info("past", 3)],
      outputs: [info("y", "n"), info("present", 3)],
      ...{ nodes: b.nodes, initializers: b.initializers, opsets: 27, irVersion: 13 },
    }),
  );
  const runner = await openModel(model);
  const start = float32Tensor([1, 3, 3], new Float32Array(9));
  const x = [1, 2, 3].map((row) => spread([6], row).data as Float32Array);
  const piece = (from: number, to: number) =>
    float32Tensor(
      [1, 3, to - from],
      x.flatMap((row) => [...row.subarray(from, to)]),
    );
  const whole = await runner.run({ x: piece(0, 6), past: start });
  const first = await runner.run({ x: piece(0, 2), past: start });
  const second = await runner.run({ x: piece(2, 6), past: first.present! });
  expect(second.present).toEqual(whole.present);
  const rows = [0, 1, 2].flatMap((row) => [
    ...(first.y!.data as Float32Array).subarray(row * 2, row * 2 + 2),
    ...(second.y!.data as Float32Array).subarray(row * 4, row * 4 + 4),
  ]);
  expect(relativeDifference(float32Tensor([1, 3, 6], rows), whole.y!)).toBeLessThan(1e-6);
  await runner.close();
});
