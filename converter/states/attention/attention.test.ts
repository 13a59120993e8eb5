/** Attention over a small stream: what a mask hides, by rule or by looking at every pair; a mask that leaks is refused. */
import { expect, test } from "vitest";
import { CHANNELS, small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import { DataType, makeTensor } from "../../graph/tensor.ts";

type Mask = (b: Builder, rows: string, keys: string) => string;

/** softmax(x xᵀ, hidden where the mask says so) x */
const attention = (mask: Mask) =>
  small({
    build(b) {
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
      const rows = b.one("Unsqueeze", [keys, b.ints("axis", [1])]);
      const turned = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      const scores = b.one("MatMul", ["x", turned]);
      const low = b.floats("low", [], [Number.NEGATIVE_INFINITY]);
      const weights = b.one("Softmax", [b.one("Where", [mask(b, rows, keys), scores, low])], { axis: -1 });
      b.one("MatMul", [weights, "x"], {}, { outputs: ["y"] });
    },
  });

const causal: Mask = (b, rows, keys) => b.one("GreaterOrEqual", [rows, keys]);
const at = (b: Builder, tensor: string, position: number) => b.one("Equal", [tensor, b.ints("at", position)]);

test.each<[string, Mask]>([
  ["a comparison", causal],
  ["the other way round, negated", (b, rows, keys) => b.one("Not", [b.one("Less", [rows, keys])])],
  ["a difference", (b, rows, keys) => b.one("GreaterOrEqual", [b.one("Sub", [rows, keys]), b.ints("zero", 0)])],
])("hidden by rule: %s", async (_, mask) => {
  const { claim, layers } = await convertModel(attention(mask));
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ form, channels }) => [form, channels])).toEqual([
    ["cache", CHANNELS],
    ["cache", CHANNELS],
  ]);
});

/** The first rows and columns of a table, as nanoGPT has its mask, cut in two steps. @param leak a pair that is shown as well */
const table =
  (size: number, leak?: readonly [number, number]): Mask =>
  (b) => {
    const shown = Uint8Array.from({ length: size * size }, (_, at) => Number(at % size <= Math.floor(at / size)));
    if (leak) shown[leak[0] * size + leak[1]] = 1;
    const mask = b.constant("mask", makeTensor(DataType.BOOL, [size, size], shown));
    const length = b.one("Shape", ["x"], { start: 1, end: 2 });
    const cut = (x: string, axis: number) =>
      b.one("Slice", [x, b.ints("from", [0]), length, b.ints("axis", [axis]), b.ints("step", [1])]);
    return cut(cut(mask, 0), 1);
  };

test.each([20, 64, 300])(
  "the first rows and columns of a table of %i: proven, and the model ends there",
  async (size) => {
    const { claim } = await convertModel(attention(table(size)));
    expect(claim).toMatchObject({ kind: "proven", positions: size, because: expect.stringContaining("ends") });
  },
);

test.each<readonly [number, readonly [number, number]]>([
  [64, [10, 11]],
  [64, [62, 63]],
  [300, [290, 299]],
])("a table of %i that shows %o as well is refused, or claimed as far as it does not", async (size, leak) => {
  const converted = convertModel(attention(table(size, leak)));
  if (leak[0] < 48) return expect(converted).rejects.toMatchObject({ code: "not-causal" });
  expect((await converted.catch(() => undefined))?.claim.positions ?? 0).toBeLessThanOrEqual(leak[0]);
});

test("what no rule follows is looked at up to the end of a table that ends the model", async () => {
  const squared = (b: Builder, tensor: string) => b.one("Mul", [tensor, tensor]);
  const mask: Mask = (b, rows, keys) =>
    b.one("And", [table(128)(b, rows, keys), b.one("GreaterOrEqual", [squared(b, rows), squared(b, keys)])]);
  const apart: Mask = (b, rows, keys) =>
    b.one("Or", [mask(b, rows, keys), b.one("Less", [squared(b, rows), b.ints("none", 0)])]);
  expect((await convertModel(attention(apart))).claim).toMatchObject({ kind: "seen", positions: 128 });
  const leak: Mask = (b, rows, keys) =>
    b.one("Or", [apart(b, rows, keys), b.one("And", [at(b, rows, 100), at(b, keys, 101)])]);
  await expect(convertModel(attention(leak))).rejects.toMatchObject({ code: "not-causal" });
});

/** 0, 1, … of each row of a batch [batch, n], as exports without `attention_mask` make positions. */
const placesOf = (b: Builder) => {
  const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
  const places = b.one("Unsqueeze", [
    b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]),
    b.ints("axis", [0]),
  ]);
  const rows = b.one("Concat", [b.one("Shape", ["x"], { start: 0, end: 1 }), b.ints("one", [1])], { axis: 0 });
  return b.one("Expand", [places, rows]);
};
const rowsAndKeys = (b: Builder, x: string) =>
  [b.one("Unsqueeze", [x, b.ints("axis", [2])]), b.one("Unsqueeze", [x, b.ints("axis", [1])])] as const;

/** A new sequence begins where a position is not the one before and `next`: Hugging Face's packed sequences. */
const packed =
  (next: number, before = 1): Mask =>
  (b) => {
    const places = placesOf(b);
    const cut = (x: string, start: number, end: number) =>
      b.one("Slice", [x, b.ints("from", [start]), b.ints("to", [end]), b.ints("axis", [1])]);
    const joined = b.one("Concat", [b.one("Sub", [cut(places, 0, 1), b.ints("before", before)]), places], {
      axis: 1,
    });
    const steps = b.one("Sub", [cut(joined, 1, 2 ** 31), cut(joined, 0, -1)]);
    const begins = b.one("Not", [b.one("Equal", [steps, b.ints("next", next)])]);
    const sequences = b.one("CumSum", [b.one("Cast", [begins], { to: DataType.INT64 }), b.ints("along", 1)]);
    const same = b.one("Equal", [...rowsAndKeys(b, sequences)]);
    return b.one("And", [b.one("GreaterOrEqual", [...rowsAndKeys(b, places)]), same]);
  };

test("positions of each row of a batch, and packed sequences found in them: proven for any batch", async () => {
  expect((await convertModel(attention(packed(1)))).claim).toEqual({ kind: "proven" });
});

test.each<[string, Mask]>([
  ["every position begins a sequence", packed(2)],
  ["the first position begins one", packed(1, 2)],
])("packed sequences that are none of one sequence are claimed as far as was seen: %s", async (_, mask) => {
  expect((await convertModel(attention(mask))).claim.kind).toBe("seen");
});

test.each<[string, (b: Builder, first: string) => string]>([
  ["a sum", (b, first) => b.one("CumSum", [first, b.ints("along", 0)])],
  ["a row that stands alone", (b, first) => b.one("Slice", [first, b.ints("from", [0]), b.ints("to", [1])])],
])("what is 0 at all keys behind a query is not 0 in what is made of the first: %s", async (_, made) => {
  const mask: Mask = (b, rows, keys) => {
    const first = b.one("Cast", [b.one("Equal", [keys, b.ints("zero", 0)])], { to: DataType.INT64 });
    const some = b.one("Greater", [made(b, first), b.ints("nothing", 0)]);
    return b.one("Or", [causal(b, rows, keys), b.one("And", [some, at(b, rows, 70)])]);
  };
  await expect(convertModel(attention(mask))).rejects.toMatchObject({ code: "not-causal" });
});

test.each<[string, Mask]>([
  [
    "a triangle of truth values",
    (b, rows, keys) => {
      const all = b.one("GreaterOrEqual", [b.one("Add", [rows, keys]), b.ints("zero", 0)]);
      const numbers = b.one("Cast", [all], { to: DataType.FLOAT });
      return b.one("Cast", [b.one("Trilu", [numbers], { upper: 0 })], { to: DataType.BOOL });
    },
  ],
])("hidden by rule, and not by looking: %s", async (_, mask) => {
  expect((await convertModel(attention(mask))).claim).toEqual({ kind: "proven" });
});

test("a mask that no rule follows is claimed as far as every pair was looked at", async () => {
  const mask: Mask = (b, rows, keys) => {
    const squared = (tensor: string) => b.one("Mul", [tensor, tensor]);
    return b.one("GreaterOrEqual", [squared(rows), squared(keys)]);
  };
  expect((await convertModel(attention(mask))).claim).toMatchObject({ kind: "seen", positions: 2048 });
});

test.each([60, 600, 1500])("a mask that leaks one pair, at position %i, is refused", async (position) => {
  const mask: Mask = (b, rows, keys) => {
    const leak = b.one("And", [at(b, rows, position), at(b, keys, position + 1)]);
    return b.one("Or", [causal(b, rows, keys), leak]);
  };
  await expect(convertModel(attention(mask))).rejects.toMatchObject({
    code: "not-causal",
    reason: expect.stringContaining(`lets position ${position} see position ${position + 1}`),
  });
});

test.each([1, 60])("a mask that is another one for row %i of a batch is refused", async (row) => {
  const mask: Mask = (b, rows, keys) => {
    const count = b.one("Squeeze", [b.one("Shape", ["x"], { start: 0, end: 1 })]);
    const sequences = b.one("Range", [b.ints("first", 0), count, b.ints("step", 1)]);
    const apart = b.one("Unsqueeze", [sequences, b.ints("axes", [1, 2])]);
    const other = b.one("And", [at(b, apart, row), b.one("Less", [keys, rows])]);
    return b.one("And", [causal(b, rows, keys), b.one("Not", [other])]);
  };
  await expect(convertModel(attention(mask))).rejects.toMatchObject({ code: "mixes-batch" });
});
