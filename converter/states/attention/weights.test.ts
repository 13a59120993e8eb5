/** Weights that two positions alone say, and that no convolution has (gMLP's gate, AFT, a synthesizer); what lets a later position in is refused. */
import { expect, test } from "vitest";
import { sameAsOriginal, small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";

const ROWS = 96;
/** A weight for each pair of positions, a function of no difference. */
const weightOf = (row: number, key: number) => Math.sin(0.37 * row * (key + 1)) / 4;
const isBefore = (row: number, key: number) => key <= row;

interface Mixing {
  /** Which pairs of the table have a weight. */
  readonly seen?: (row: number, key: number, head: number) => boolean;
  readonly heads?: number;
  /** What is made of the table's first rows and columns. */
  readonly made?: (b: Builder, rows: string, length: string) => string;
}

/** W V with W the first rows and columns of a table, behind a Tanh; with heads, one for each half of the channels. */
function mixing({ seen = () => true, heads = 1, made = (_, rows) => rows }: Mixing): Model {
  const build = (b: Builder) => {
    const ints = (...values: number[]) => b.ints("list", values);
    const places = Array.from({ length: heads * ROWS * ROWS }, (_, at) => {
      const [head, row, key] = [Math.floor(at / ROWS / ROWS), Math.floor(at / ROWS) % ROWS, at % ROWS];
      return seen(row, key, head) ? weightOf(row, key) : 0;
    });
    const table = b.floats("table", heads > 1 ? [heads, ROWS, ROWS] : [ROWS, ROWS], places);
    const length = b.one("Shape", ["x"], { start: 1, end: 2 });
    const cut = (x: string, axis: number) => b.one("Slice", [x, ints(0), length, ints(axis)]);
    const weights = made(b, cut(cut(table, heads - 1 ? 1 : 0), heads - 1 ? 2 : 1), length);
    const values = b.one("Tanh", ["x"]);
    if (heads === 1) return void b.one("MatMul", [weights, values], {}, { outputs: ["y"] });
    const apart = b.one("Transpose", [b.one("Reshape", [values, ints(0, 0, heads, -1)])], { perm: [0, 2, 1, 3] });
    const sums = b.one("Transpose", [b.one("MatMul", [weights, apart])], { perm: [0, 2, 1, 3] });
    b.one("Reshape", [sums, ints(0, 0, -1)], {}, { outputs: ["y"] });
  };
  return small({ build });
}

const triangle = (b: Builder, x: string, by = 0) => b.one("Trilu", [x, b.ints("by", by)], { upper: 0 });
/** exp(w) of the lower triangle, and of none else. */
const exponential = (b: Builder, x: string) => triangle(b, b.one("Exp", [x]));
const sumOf = (b: Builder, x: string) => b.one("ReduceSum", [x, b.ints("axis", [-1])], { keepdims: 1 });

test.each<[string, Mixing, object]>([
  ["a triangle of a table", { made: (b, x) => triangle(b, x) }, { kind: "proven", positions: ROWS }],
  ["a table with zeros for later keys", { seen: isBefore }, { kind: "proven", positions: ROWS }],
  ["a table for each head", { seen: isBefore, heads: 2 }, { kind: "proven", positions: ROWS }],
  [
    "each row divided by its sum",
    {
      made: (b, x) => {
        const weights = exponential(b, x);
        return b.one("Div", [weights, sumOf(b, weights)]);
      },
    },
    { kind: "seen" },
  ],
])("%s", async (_, how, wanted) => {
  const model = mixing(how);
  const { claim, layers } = await convertModel(model);
  expect(claim).toMatchObject(wanted);
  expect("positions" in claim && Number(claim.positions) <= ROWS).toBe(true);
  expect(layers.map(({ form }) => form)).toEqual(["cache"]);
  await sameAsOriginal(model, {});
});

test.each<[string, Mixing, string]>([
  ["every key", {}, "not-causal"],
  ["a triangle that takes one more", { made: (b, x) => triangle(b, x, 1) }, "not-causal"],
  [
    "one pair ahead, far behind",
    { seen: (row, key) => isBefore(row, key) || (row === 50 && key === 51) },
    "not-causal",
  ],
  [
    "one pair ahead of the second head",
    { heads: 2, seen: (row, key, head) => isBefore(row, key) || (head === 1 && row === 50 && key === 51) },
    "not-causal",
  ],
  [
    "divided by the sum of all keys",
    { made: (b, x) => b.one("Div", [exponential(b, x), sumOf(b, b.one("Exp", [x]))]) },
    "depends-on-length",
  ],
  [
    "divided by the length",
    { made: (b, x, length) => b.one("Div", [triangle(b, x), b.one("Cast", [length], { to: 1 })]) },
    "depends-on-length",
  ],
])("refused: %s", async (_, how, code) => {
  await expect(convertModel(mixing(how))).rejects.toMatchObject({ code });
});
