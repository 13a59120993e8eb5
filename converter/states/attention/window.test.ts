/** Attention with a window of W: W - 1 rows are carried where a rule says so, and what is nearly a window is right or refused. */
import { expect, test } from "vitest";
import { CHANNELS, close, signal, small, steps } from "../../../test/small.ts";
import type { ConvertOptions } from "../../conversion.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";
import { DataType, toNumbers } from "../../graph/tensor.ts";
import { openModel } from "../../ort/run.ts";

/** What shows key j to query i, bool; or, from scores, what hides. */
type Mask = (b: Builder, rows: string, keys: string, length: string) => string;
type Softmax = (b: Builder, scores: string) => string;

const fused: Softmax = (b, scores) => b.one("Softmax", [scores], { axis: -1 });
/** With the maximum taken out; `scale` makes all scores low. */
const writtenOut: Softmax = (b, scores) => {
  const axis = b.ints("axis", [-1]);
  const low = b.one("Sub", [scores, b.floats("far", [], [110])]);
  const raised = b.one("Exp", [b.one("Sub", [low, b.one("ReduceMax", [low, axis])])]);
  return b.one("Div", [raised, b.one("ReduceSum", [raised, axis])]);
};

function attention(mask: Mask, { softmax = fused, low = Number.NEGATIVE_INFINITY } = {}): Model {
  return small({
    build(b) {
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
      const rows = b.one("Unsqueeze", [keys, b.ints("axis", [1])]);
      const turned = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      const scores = b.one("MatMul", ["x", turned]);
      const hidden = b.floats("low", [], [low]);
      const weights = softmax(b, b.one("Where", [mask(b, rows, keys, length), scores, hidden]));
      b.one("MatMul", [weights, "x"], {}, { outputs: ["y"] });
    },
  });
}

const causal: Mask = (b, rows, keys) => b.one("GreaterOrEqual", [rows, keys]);
const both = (b: Builder, x: string, y: string) => b.one("And", [x, y]);
const behind = (b: Builder, rows: string, keys: string) => b.one("Sub", [rows, keys]);
const at = (b: Builder, tensor: string, position: number) => b.one("Equal", [tensor, b.ints("at", position)]);
const window =
  (width: number): Mask =>
  (b, rows, keys) =>
    both(b, causal(b, rows, keys, ""), b.one("Less", [behind(b, rows, keys), b.ints("width", width)]));
const orSeen =
  (mask: Mask, row: number, key: number): Mask =>
  (b, rows, keys, length) =>
    b.one("Or", [mask(b, rows, keys, length), both(b, at(b, rows, row), at(b, keys, key))]);

/** Whole, as exported, against token by token; `convert` compares batches, padding and random cuts. */
async function isRight(model: Model, options: ConvertOptions = {}): Promise<[string, number][]> {
  const { model: converted, layers } = await convertModel(model, options);
  const x = signal(150);
  const original = await openModel(model);
  const wanted = toNumbers((await original.run({ x })).y!);
  await original.close();
  close(Float64Array.from((await steps(converted, x)).flatMap((row) => [...row])), wanted);
  return layers.map(({ form, order }) => [form, order]);
}

const rowsOf = (count: number) => [
  ["rows", count],
  ["rows", count],
  ["rows", count],
];

test.each<[string, Mask, number]>([
  ["a difference below W", window(5), 4],
  ["a window of 1 carries one row all the same", window(1), 1],
  ["a window of 2", window(2), 1],
  [
    "at most W",
    (b, rows, keys) =>
      both(b, causal(b, rows, keys, ""), b.one("LessOrEqual", [behind(b, rows, keys), b.ints("width", 5)])),
    5,
  ],
  [
    "keys after the query less W, as Hugging Face writes it",
    (b, rows, keys) =>
      both(b, b.one("LessOrEqual", [keys, rows]), b.one("Greater", [keys, b.one("Sub", [rows, b.ints("width", 7)])])),
    6,
  ],
  [
    "two triangles",
    (b, _rows, _keys, length) => {
      const size = b.one("Unsqueeze", [length, b.ints("axis", [0])]);
      const square = b.one("Concat", [size, size], { axis: 0 });
      const ones = b.one("Expand", [b.floats("one", [1, 1], [1]), square]);
      const lower = b.one("Trilu", [ones], { upper: 0 });
      return b.one("Cast", [b.one("Trilu", [lower, b.ints("by", -8)], { upper: 1 })], { to: DataType.BOOL });
    },
    8,
  ],
  [
    "the distance halved, in floats",
    (b, rows, keys) => {
      const floats = b.one("Cast", [behind(b, rows, keys)], { to: DataType.FLOAT });
      const halved = b.one("Mul", [floats, b.floats("half", [], [0.5])]);
      return both(b, causal(b, rows, keys, ""), b.one("Less", [halved, b.floats("width", [], [2.25])]));
    },
    4,
  ],
])("%s: by rule, %#", async (_, mask, count) => {
  for (const options of [{}, { softmax: writtenOut }, { low: -1e9 }]) {
    const model = attention(mask, options);
    const { claim, layers } = await convertModel(model, { stepFile: true });
    expect(claim).toEqual({ kind: "proven" });
    expect(layers.map(({ channels }) => channels)).toEqual([CHANNELS, CHANNELS, 1]);
    expect(await isRight(model)).toEqual(rowsOf(count));
  }
});

test.each<[string, Mask]>([
  ["one position, one place before the window", orSeen(window(5), 60, 55)],
  ["one position far before it", orSeen(window(5), 140, 3)],
  [
    "the first positions, always",
    (b, rows, keys, length) => {
      const sinks = both(b, causal(b, rows, keys, length), b.one("Less", [keys, b.ints("sinks", 2)]));
      return b.one("Or", [window(5)(b, rows, keys, length), sinks]);
    },
  ],
  [
    "from one position on",
    (b, rows, keys, length) => {
      const late = both(b, causal(b, rows, keys, length), b.one("GreaterOrEqual", [rows, b.ints("late", 100)]));
      return b.one("Or", [window(5)(b, rows, keys, length), late]);
    },
  ],
  [
    "blocks",
    (b, rows, keys, length) => {
      const block = (tensor: string) => b.one("Div", [tensor, b.ints("size", 8)]);
      return both(b, causal(b, rows, keys, length), b.one("Equal", [block(rows), block(keys)]));
    },
  ],
])("what sees more than a window keeps all rows: %s", async (_, mask) => {
  const layers = await isRight(attention(mask));
  expect(layers.map(([form]) => form)).toEqual(["cache", "cache"]);
});

test("a window that is one from one length on is refused", async () => {
  const mask: Mask = (b, rows, keys, length) => {
    const short = b.one("Less", [length, b.ints("short", 100)]);
    const wide = both(b, causal(b, rows, keys, length), short);
    return b.one("Or", [window(5)(b, rows, keys, length), wide]);
  };
  await expect(convertModel(attention(mask))).rejects.toMatchObject({ name: "LongConvError" });
});

test.each([60, 600])(
  "a window that hides a position from itself, at %i, takes later ones: refused",
  async (position) => {
    const mask: Mask = (b, rows, keys, length) =>
      both(b, window(5)(b, rows, keys, length), b.one("Not", [at(b, rows, position)]));
    await expect(convertModel(attention(mask, { low: -1e9 }))).rejects.toMatchObject({ code: "not-causal" });
  },
);

test("the rows of one head of two", async () => {
  const heads = (widths: readonly number[]): Model =>
    small({
      build(b) {
        const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
        const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
        const rows = b.one("Unsqueeze", [keys, b.ints("axis", [1])]);
        const split = b.one("Reshape", ["x", b.ints("heads", [0, 0, 2, 2])]);
        const q = b.one("Transpose", [split], { perm: [0, 2, 1, 3] });
        const k = b.one("Transpose", [split], { perm: [0, 2, 3, 1] });
        const distance = b.one("Unsqueeze", [behind(b, rows, keys), b.ints("axis", [0])]);
        const limits = b.constant("widths", {
          type: DataType.INT64,
          dims: [2, 1, 1],
          data: BigInt64Array.from(widths, BigInt),
        });
        const shown = both(b, b.one("Less", [distance, limits]), causal(b, rows, keys, ""));
        const low = b.floats("low", [], [-1e9]);
        const weights = b.one("Softmax", [b.one("Where", [shown, b.one("MatMul", [q, k]), low])], { axis: -1 });
        const mixed = b.one("Transpose", [b.one("MatMul", [weights, q])], { perm: [0, 2, 1, 3] });
        b.one("Reshape", [mixed, b.ints("joined", [0, 0, 4])], {}, { outputs: ["y"] });
      },
    });
  expect((await isRight(heads([6, 6]))).map(([form, order]) => [form, order])).toEqual(rowsOf(5));
  expect((await isRight(heads([6, 7]))).map(([form]) => form)).toEqual(["cache", "cache"]);
});
