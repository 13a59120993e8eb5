/** Masks in the spellings of published code: proven by rule; the nearest ones that let a later position in, or hide a position from itself, are not. */
import { expect, test } from "vitest";
import { sameAsOriginal, small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";

/** What shows key j to query i, bool. */
type Mask = (b: Builder, rows: string, keys: string) => string;
/** Weights of scores, and of what is shown. */
type Weights = (b: Builder, scores: string, shown: string) => string;

const number = (b: Builder, value: number) => b.floats("number", [], [value]);
const where = (b: Builder, scores: string, shown: string, low = Number.NEGATIVE_INFINITY) =>
  b.one("Where", [shown, scores, number(b, low)]);
const softmax =
  (low?: number): Weights =>
  (b, scores, shown) =>
    b.one("Softmax", [where(b, scores, shown, low)], { axis: -1 });

const attention = (mask: Mask, weights: Weights = softmax()): Model =>
  small({
    build(b) {
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
      const rows = b.one("Unsqueeze", [keys, b.ints("axis", [1])]);
      const scores = b.one("MatMul", ["x", b.one("Transpose", ["x"], { perm: [0, 2, 1] })]);
      b.one("MatMul", [weights(b, scores, mask(b, rows, keys)), "x"], {}, { outputs: ["y"] });
    },
  });

const causal: Mask = (b, rows, keys) => b.one("GreaterOrEqual", [rows, keys]);
const at = (b: Builder, tensor: string, position: number) => b.one("Equal", [tensor, b.ints("at", position)]);
const leaking: Mask = (b, rows, keys) =>
  b.one("Or", [causal(b, rows, keys), b.one("And", [at(b, rows, 600), at(b, keys, 601)])]);

type Block = (b: Builder, places: string, size: number) => string;
const divided: Block = (b, places, size) => b.one("Div", [places, b.ints("size", size)]);
const floored: Block = (b, places, size) =>
  b.one("Floor", [b.one("Div", [b.one("Cast", [places], { to: DataType.FLOAT }), number(b, size)])]);
/** As PyTorch exports `places // size`. */
const exported: Block = (b, places, size) => {
  const by = b.ints("size", size);
  const isNegative = b.one("Equal", [
    b.one("Less", [places, b.ints("zero", 0)]),
    b.one("Less", [b.ints("zero", 0), by]),
  ]);
  const isPart = b.one("Cast", [b.one("Mod", [places, by])], { to: DataType.BOOL });
  const less = b.one("Cast", [b.one("And", [isNegative, isPart])], { to: DataType.INT64 });
  return b.one("Sub", [b.one("Div", [places, by]), less]);
};
const and = (b: Builder, x: string, y: string) => b.one("And", [x, y]);
/** In the same block, and not behind. */
const blocks =
  (block: Block, sizes: readonly [number, number] = [8, 8]): Mask =>
  (b, rows, keys) =>
    and(b, causal(b, rows, keys), b.one("Equal", [block(b, rows, sizes[0]), block(b, keys, sizes[1])]));
/** In a chunk before the query's, or the query itself. */
const chunks =
  (compare: string): Mask =>
  (b, rows, keys) =>
    b.one("Or", [b.one(compare, [divided(b, rows, 8), divided(b, keys, 8)]), b.one("Equal", [rows, keys])]);
/** In the same chunk or so many before it, and not behind. */
const near =
  (count: number): Mask =>
  (b, rows, keys) => {
    const apart = b.one("Sub", [divided(b, rows, 8), divided(b, keys, 8)]);
    return and(b, causal(b, rows, keys), b.one("LessOrEqual", [apart, b.ints("count", count)]));
  };

const axis = (b: Builder) => b.ints("axis", [-1]);
const logSoftmax: Weights = (b, scores, shown) =>
  b.one("Exp", [b.one("LogSoftmax", [where(b, scores, shown)], { axis: -1 })]);
const logSumExp: Weights = (b, scores, shown) => {
  const hidden = where(b, scores, shown);
  return b.one("Exp", [b.one("Sub", [hidden, b.one("ReduceLogSumExp", [hidden, axis(b)])])]);
};
/** mask · large - large, added to the scores. */
const lifted =
  (large: number): Weights =>
  (b, scores, shown) => {
    const ones = b.one("Cast", [shown], { to: DataType.FLOAT });
    const added = b.one("Add", [b.one("Mul", [ones, number(b, large)]), number(b, -large)]);
    return b.one("Softmax", [b.one("Add", [scores, added])], { axis: -1 });
  };

/** Hidden behind the query, where something as large is added at keys 2,500 ahead of it. */
const liftedAhead: Weights = (b, scores, shown) => {
  const added = b.one("Where", [shown, number(b, 0), number(b, -1e9)]);
  const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
  const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
  const ahead = b.one("Sub", [keys, b.one("Unsqueeze", [keys, b.ints("axis", [1])])]);
  const isAhead = b.one("Cast", [at(b, ahead, 2500)], { to: DataType.FLOAT });
  const again = b.one("Mul", [isAhead, number(b, 1e9)]);
  return b.one("Softmax", [b.one("Add", [scores, b.one("Add", [added, again])])], { axis: -1 });
};

test.each<[string, Mask, Weights?]>([
  ["blocks, by Div", blocks(divided)],
  ["blocks, by Floor", blocks(floored)],
  ["blocks, as PyTorch exports //", blocks(exported)],
  ["chunks before the query's, and itself", chunks("Greater")],
  ["its chunk and the one before", near(1)],
  ["exp of a log softmax", causal, logSoftmax],
  ["exp of what is less than the log of the sum", causal, logSumExp],
  ["the least float16", causal, softmax(-65504)],
])("proven: %s", async (_, mask, weights) => {
  const model = attention(mask, weights);
  expect((await convertModel(model)).claim).toEqual({ kind: "proven" });
  await sameAsOriginal(model, {});
});

test.each<[string, Mask, Weights?]>([
  ["chunks up to the query's own, to their ends", chunks("GreaterOrEqual")],
  ["blocks of two sizes, which hide a position from itself", blocks(divided, [6, 8]), softmax(-1e9)],
  ["blocks up to one behind", (b, rows, keys) => b.one("Equal", [divided(b, rows, 8), divided(b, keys, 8)])],
  ["a log softmax that leaks", leaking, logSoftmax],
  ["a log of the sum that leaks", leaking, logSumExp],
  [
    "a log of the sum of all scores",
    causal,
    (b, scores, shown) =>
      b.one("Exp", [b.one("Sub", [where(b, scores, shown), b.one("ReduceLogSumExp", [scores, axis(b)])])]),
  ],
  ["a mask of ones that leaks", leaking, lifted(1e9)],
  ["a mask of ones that leaks, in float16's numbers", leaking, lifted(65504)],
])("refused: %s", async (_, mask, weights) => {
  await expect(convertModel(attention(mask, weights))).rejects.toMatchObject({ name: "LongConvError" });
});

test("hidden, and lifted again far ahead: claimed as far as was seen", async () => {
  expect((await convertModel(attention(causal, liftedAhead))).claim).toMatchObject({ kind: "seen", positions: 2048 });
});

test("what is low and no least number hides as far as was seen", async () => {
  expect((await convertModel(attention(causal, softmax(-6e4)))).claim.kind).toBe("seen");
});
