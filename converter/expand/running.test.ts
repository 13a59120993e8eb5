/** Triangles of equal numbers are running sums and means, at any length; the export in ORT is the judge. What is another matrix stays. */
import { expect, test } from "vitest";
import { close, conversion, sameAsOriginal, signal, small } from "../../test/small.ts";
import type { Builder } from "../graph/build.ts";
import { DataType, float32Tensor, makeTensor, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { expanded } from "./index.ts";

const length = (b: Builder) => b.one("Shape", ["x"], { start: 1, end: 2 });
/** [n, n] of one number. */
const square = (b: Builder, value = 1, columns = length(b)) => {
  const shape = b.one("Concat", [length(b), columns], { axis: 0 });
  return b.one("ConstantOfShape", [shape], { value: { tensor: float32Tensor([1], Float32Array.of(value)) } });
};
const lower = (b: Builder, k = 0) => b.one("Trilu", [square(b), b.ints("k", k)], { upper: 0 });
const range = (b: Builder, from = 0) =>
  b.one("Range", [b.ints("from", from), b.one("Squeeze", [length(b)]), b.ints("step", 1)]);
/** Positions as rows and as columns, and a number for each row. */
const rows = (b: Builder, x: string) => b.one("Unsqueeze", [x, b.ints("axes", [1])]);
const columns = (b: Builder, x: string) => b.one("Unsqueeze", [x, b.ints("axes", [0])]);
const float = (b: Builder, x: string) => b.one("Cast", [x], { to: DataType.FLOAT });
const counts = (b: Builder) => b.one("Add", [float(b, range(b)), b.floats("one", [], [1])]);
const low = (b: Builder) => b.floats("low", [], [Number.NEGATIVE_INFINITY]);
const zero = (b: Builder) => b.floats("zero", [], [0]);

/** Triangle times what is not linear, behind it another. */
const model = (matrix: (b: Builder) => string) =>
  small({
    build(b) {
      const y = b.one("MatMul", [matrix(b), b.one("Tanh", ["x"])]);
      b.one("Sin", [y], {}, { outputs: ["y"] });
    },
  });

const SPELLINGS: readonly [string, (b: Builder) => string][] = [
  ["tril of ones", (b) => lower(b)],
  ["tril of halves", (b) => b.one("Trilu", [square(b, 0.5)], { upper: 0 })],
  ["positions compared", (b) => float(b, b.one("GreaterOrEqual", [rows(b, range(b)), columns(b, range(b))]))],
  ["columns before rows", (b) => float(b, b.one("LessOrEqual", [columns(b, range(b)), rows(b, range(b))]))],
  ["not later", (b) => float(b, b.one("Not", [b.one("Less", [rows(b, range(b)), columns(b, range(b))])]))],
  [
    "picked",
    (b) => {
      const later = b.one("Greater", [columns(b, range(b)), rows(b, range(b))]);
      return b.one("Where", [later, zero(b), b.floats("one", [], [1])]);
    },
  ],
  ["a mean by counts", (b) => b.one("Div", [lower(b), rows(b, counts(b))])],
  ["a mean by shares", (b) => b.one("Mul", [lower(b), b.one("Reciprocal", [rows(b, counts(b))])])],
  ["a mean by the rows' sums", (b) => b.one("Div", [lower(b), b.one("ReduceSum", [lower(b), b.ints("axes", [1])])])],
  [
    "a softmax of what is hidden",
    (b) => {
      const hidden = b.one("Equal", [lower(b), zero(b)]);
      return b.one("Softmax", [b.one("Where", [hidden, low(b), square(b, 0)])], { axis: -1 });
    },
  ],
  [
    "a softmax of an upper triangle",
    (b) => b.one("Softmax", [b.one("Trilu", [square(b, -1e9), b.ints("k", 1)], { upper: 1 })], { axis: -1 }),
  ],
];

test.each(SPELLINGS)("%s: a sum is carried, proven at any length", async (_, matrix) => {
  const original = model(matrix);
  expect(expanded(original).graph.nodes.map(({ op }) => op)).toContain("CumSum");
  const { claim, layers } = await conversion(original);
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ kind }) => kind)).toContain("running sum");
  await sameAsOriginal(original);
});

test("behind the stream, upper: along the last axis", async () => {
  const original = small({
    build(b) {
      const x = b.one("Transpose", [b.one("Tanh", ["x"])], { perm: [0, 2, 1] });
      const y = b.one("MatMul", [x, b.one("Trilu", [square(b)], { upper: 1 })]);
      b.one("Transpose", [b.one("Sin", [y])], { perm: [0, 2, 1] }, { outputs: ["y"] });
    },
  });
  expect((await conversion(original)).claim).toEqual({ kind: "proven" });
  await sameAsOriginal(original);
});

const OTHERS: readonly [string, (b: Builder) => string][] = [
  ["one position later is seen", (b) => lower(b, 1)],
  ["the own position is left out", (b) => lower(b, -1)],
  ["columns and rows changed", (b) => float(b, b.one("GreaterOrEqual", [columns(b, range(b)), rows(b, range(b))]))],
  ["not all is hidden", (b) => b.one("Softmax", [b.one("Trilu", [square(b, -3), b.ints("k", 1)], { upper: 1 })])],
  ["a row instead of a column", (b) => b.one("Div", [lower(b), columns(b, counts(b))])],
  [
    "what is not shown is no zero",
    (b) => b.one("Where", [truth(b), b.floats("one", [], [1]), b.floats("d", [], [0.5])]),
  ],
  [
    "positions from 1 beside positions from 0",
    (b) => float(b, b.one("GreaterOrEqual", [rows(b, range(b, 1)), columns(b, range(b))])),
  ],
];
const truth = (b: Builder) => b.one("GreaterOrEqual", [rows(b, range(b)), columns(b, range(b))]);

test.each(OTHERS)("left as it is: %s", async (_, matrix) => {
  expect(expanded(model(matrix)).graph.nodes.map(({ op }) => op)).not.toContain("CumSum");
});

test("a mean of 3 000 positions, behind what a growing cache was compared to", async () => {
  const original = model((b) => b.one("Div", [lower(b), rows(b, counts(b))]));
  const x = signal(3000);
  const runner = await openModel(original);
  const wanted = toNumbers((await runner.run({ x })).y!);
  await runner.close();
  const { model: made } = await conversion(original);
  const again = await openModel(made);
  const states = Object.fromEntries(
    made.graph.inputs
      .filter(({ name }) => name.startsWith("past_"))
      .map(({ name, dims }) => {
        const sizes = dims!.map((dim) => (typeof dim === "number" ? dim : 1));
        return [name, makeTensor(DataType.FLOAT, sizes, new Float32Array(sizes.reduce((a, c) => a * c, 1)))];
      }),
  );
  close(toNumbers((await again.run({ x, ...states })).y!), wanted);
  await again.close();
});
