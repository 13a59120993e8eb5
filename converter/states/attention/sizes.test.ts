/** Masks made by the sizes of the scores that they hide, and triangles of the scores themselves, as published code has them. */
import { expect, test } from "vitest";
import { openConverted } from "../../../test/converted.ts";
import { CHANNELS, conv, signal, small } from "../../../test/small.ts";
import { relativeDifference } from "../../../test/testdata.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";
import { float32Tensor } from "../../graph/tensor.ts";
import { openModel } from "../../ort/run.ts";

type Weights = (b: Builder, scores: string) => string;

/** weights(x xᵀ) x, x behind a long convolution where that is asked for. */
const attention = (weights: Weights, behind = false) =>
  small({
    build(b) {
      const x = behind ? conv(b, "x") : "x";
      const scores = b.one("MatMul", [x, b.one("Transpose", [x], { perm: [0, 2, 1] })]);
      const small = b.one("Mul", [scores, b.floats("scale", [], [0.3])]);
      b.one("MatMul", [weights(b, small), x], {}, { outputs: ["y"] });
    },
  });

const softmax = (b: Builder, hidden: string, scores: string) =>
  b.one("Softmax", [b.one("Where", [hidden, b.floats("low", [], [-1e9]), scores])], { axis: -1 });
const ones = { value: { tensor: float32Tensor([1], [1]) } };
/** ones_like(scores) */
const onesLike = (b: Builder, scores: string) => b.one("ConstantOfShape", [b.one("Shape", [scores])], ones);
const above = (b: Builder, tensor: string) => b.one("Trilu", [tensor, b.ints("by", 1)], { upper: 1 });
/** scores.shape[axis] */
const size = (b: Builder, scores: string, axis: number) =>
  b.one("Gather", [b.one("Shape", [scores]), b.ints("axis", axis)]);
const isOne = (b: Builder, tensor: string) => b.one("Greater", [tensor, b.floats("half", [], [0.5])]);
const range = (b: Builder, to: string) => b.one("Range", [b.ints("first", 0), to, b.ints("step", 1)]);

const alike: Weights = (b, scores) => softmax(b, isOne(b, above(b, onesLike(b, scores))), scores);
const byShape: Weights = (b, scores) => {
  const rows = b.one("Unsqueeze", [range(b, size(b, scores, -2)), b.ints("last", [1])]);
  return softmax(b, b.one("Greater", [range(b, size(b, scores, -1)), rows]), scores);
};
const byDifference: Weights = (b, scores) => {
  const [rows, keys] = [size(b, scores, 1), size(b, scores, 2)];
  const unsqueezed = [rows, keys].map((each) => b.one("Unsqueeze", [each, b.ints("axis", [0])]));
  const all = b.one("ConstantOfShape", [b.one("Concat", unsqueezed, { axis: 0 })], ones);
  const by = b.one("Add", [b.one("Sub", [keys, rows]), b.ints("next", 1)]);
  return softmax(b, isOne(b, b.one("Trilu", [all, by], { upper: 1 })), scores);
};
const sizesOfWeights: Weights = (b, scores) => alike(b, b.one("Identity", [b.one("Tanh", [scores])]));

/** Whole, one by one, and cut, against the original in ONNX Runtime. */
async function expectSame(original: Model, made: Model): Promise<void> {
  const x = signal(60);
  const runner = await openModel(original);
  const due = (await runner.run({ x })).y!;
  await runner.close();
  const converted = await openConverted(made);
  for (const cuts of [[60], Array.from({ length: 60 }, (_, i) => i + 1), [1, 9, 60]])
    expect(relativeDifference((await converted.run({ x }, cuts)).y!, due)).toBeLessThan(1e-5);
  await converted.close();
}

test.each<[string, Weights, boolean]>([
  ["ones_like(scores).triu(1)", alike, false],
  ["places counted by both sizes", byShape, false],
  ["triu(keys - rows + 1)", byDifference, false],
  ["of what is made of the scores", sizesOfWeights, false],
  ["behind a convolution", alike, true],
])("a cache: %s", async (_, weights, behind) => {
  const model = attention(weights, behind);
  const { claim, layers, model: made } = await convertModel(model);
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.filter(({ form }) => form === "cache")).toHaveLength(2);
  await expectSame(model, made);
});

const tril =
  (by?: number): Weights =>
  (b, scores) =>
    b.one("Trilu", [scores, ...(by === undefined ? [] : [b.ints("by", by)])], { upper: 0 });
const filled: Weights = (b, scores) =>
  b.one("Where", [isOne(b, above(b, onesLike(b, scores))), b.floats("zero", [], [0]), scores]);

test.each<[string, Weights]>([["scores.tril()", tril()]])("a matrix: %s", async (_, weights) => {
  const model = attention(weights);
  const { claim, layers, model: made } = await convertModel(model);
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ form, dims }) => [form, dims])).toEqual([["recurrent", [CHANNELS, CHANNELS]]]);
  await expectSame(model, made);
});

test.each<[string, Weights]>([
  ["masked_fill(triu(1), 0)", filled],
  ["scores.tril(-1)", tril(-1)],
  ["scores.tril(-40): nothing nearer than 40", tril(-40)],
])("rows of keys and values: %s", async (_, weights) => {
  const model = attention(weights);
  const { layers, model: made } = await convertModel(model);
  expect(layers.map(({ form }) => form)).toEqual(["cache", "cache"]);
  await expectSame(model, made);
});

test.each<[string, Weights]>([
  ["scores.tril(1)", tril(1)],
  ["scores.triu()", (b, scores) => b.one("Trilu", [scores])],
  [
    "triu(2) is hidden",
    (b, scores) => softmax(b, isOne(b, b.one("Trilu", [onesLike(b, scores), b.ints("by", 2)])), scores),
  ],
])("refused: %s", async (_, weights) => {
  await expect(convertModel(attention(weights))).rejects.toMatchObject({ code: "not-causal" });
});
