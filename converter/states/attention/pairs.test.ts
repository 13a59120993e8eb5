/** What lies between queries and keys, spelled in the ways of published code; the nearest graphs that see later positions are refused. */
import { expect, test } from "vitest";
import { CHANNELS, ofIds, sameAsOriginal, small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import { DataType } from "../../graph/tensor.ts";

/** From a stream [batch, n, 4] to one. */
type Layer = (b: Builder, x: string) => string;

const of = (layer: Layer) => small({ build: (b) => void b.one("Identity", [layer(b, "x")], {}, { outputs: ["y"] }) });

const number = (b: Builder, value: number) => b.floats("number", [], [value]);
const axis = (b: Builder, k: number) => b.ints("axis", [k]);
const turned = (b: Builder, x: string) => b.one("Transpose", [x], { perm: [0, 2, 1] });
const scoresOf = (b: Builder, x: string) => b.one("MatMul", [x, turned(b, x)]);
/** The same number in so many steps, each of which reads the one before twice. */
const again = (b: Builder, x: string, steps: number): string =>
  steps === 0 ? x : again(b, b.one("Max", [x, x]), steps - 1);
/** Hides keys by their distance behind the query; the queries' own distance is 0. */
const hidden = (b: Builder, x: string, scores: string, later = 0, steps = 0) => {
  const length = b.one("Squeeze", [b.one("Shape", [x], { start: 1, end: 2 })]);
  const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
  const rows = b.one("Add", [b.one("Unsqueeze", [keys, axis(b, 1)]), b.ints("later", later)]);
  return b.one("Where", [
    b.one("GreaterOrEqual", [again(b, rows, steps), keys]),
    scores,
    number(b, Number.NEGATIVE_INFINITY),
  ]);
};
const sumOf = (b: Builder, weights: string) => b.one("ReduceSum", [weights, axis(b, -1)], { keepdims: 1 });
const least = (b: Builder, x: string) => b.one("Add", [x, number(b, 1e-6)]);
/** Divided by their sum and a small number, then summed with the values. */
const normalised = (b: Builder, x: string, weights: string) =>
  b.one("MatMul", [b.one("Div", [weights, least(b, sumOf(b, weights))]), x]);
const softmax = (b: Builder, x: string, scores: string) => b.one("MatMul", [b.one("Softmax", [scores]), x]);

/** A number for each position, [batch, n, 1] and [batch, 1, n]: a sum over the first channel. */
function counted(b: Builder, x: string, reverse = 0) {
  const gates = b.one("Sigmoid", [b.one("Slice", [x, axis(b, 0), axis(b, 1), axis(b, 2)])]);
  const sum = b.one("CumSum", [b.one("Log", [gates]), b.ints("time", 1)], { reverse });
  return [sum, turned(b, sum)] as const;
}

const triangle =
  (by: number | undefined, upper = 0): Layer =>
  (b, x) => {
    const positive = b.one("Abs", [scoresOf(b, x)]);
    const weights = b.one("Trilu", by === undefined ? [positive] : [positive, b.ints("by", by)], { upper });
    return normalised(b, x, weights);
  };

test.each<[string, Layer, string[]]>([
  [
    "softplus, divided by a sum",
    (b, x) => normalised(b, x, b.one("Softplus", [hidden(b, x, scoresOf(b, x))])),
    ["cache", "cache"],
  ],
  [
    "a sigmoid of its own for each pair",
    (b, x) => b.one("MatMul", [b.one("Sigmoid", [hidden(b, x, scoresOf(b, x))]), x]),
    ["cache", "cache"],
  ],
  [
    "one more than the sum of exponentials",
    (b, x) => {
      const weights = b.one("Exp", [hidden(b, x, scoresOf(b, x))]);
      return b.one("MatMul", [b.one("Div", [weights, b.one("Add", [number(b, 1), sumOf(b, weights)])]), x]);
    },
    ["cache", "cache"],
  ],
  ["a triangle of the scores", triangle(undefined), ["cache", "cache"]],
  ["a triangle below the diagonal", triangle(-3), ["cache", "cache"]],
  [
    "a forgetting gate: sums up to the query and to the key, their difference",
    (b, x) => {
      const [own, keys] = counted(b, x);
      return softmax(b, x, hidden(b, x, b.one("Add", [scoresOf(b, x), b.one("Sub", [own, keys])])));
    },
    ["sum", "cache", "cache", "cache"],
  ],
  [
    "the gate added to the scores in two steps",
    (b, x) => {
      const scores = scoresOf(b, x);
      const [own, keys] = counted(b, x);
      return softmax(b, x, hidden(b, x, b.one("Sub", [b.one("Add", [scores, own]), keys])));
    },
    ["cache", "cache", "cache", "sum"],
  ],
  [
    "a selective state space in its quadratic form",
    (b, x) => {
      const [own, keys] = counted(b, x);
      const decay = b.one("Exp", [hidden(b, x, b.one("Sub", [own, keys]))]);
      return b.one("MatMul", [b.one("Mul", [scoresOf(b, x), decay]), x]);
    },
    ["sum", "cache", "cache", "cache"],
  ],
  [
    "a sum of queries and keys, through tanh",
    (b, x) => {
      const apart = b.one("Add", [b.one("Unsqueeze", [x, axis(b, 2)]), b.one("Unsqueeze", [x, axis(b, 1)])]);
      const scores = b.one("ReduceSum", [b.one("Tanh", [apart]), axis(b, -1)], { keepdims: 0 });
      return softmax(b, x, hidden(b, x, scores));
    },
    ["cache", "cache"],
  ],
])("proven: %s", async (_, layer, forms) => {
  const { claim, layers } = await convertModel(of(layer));
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ form }) => form).sort()).toEqual([...forms].sort());
  await sameAsOriginal(of(layer), {});
});

test("a triangle of the scores, and no softmax: a state of one size", async () => {
  const model = of((b, x) => b.one("MatMul", [b.one("Trilu", [scoresOf(b, x)], { upper: 0 }), x]));
  const { claim, layers } = await convertModel(model);
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ form, dims }) => [form, dims])).toEqual([["recurrent", [CHANNELS, CHANNELS]]]);
  await sameAsOriginal(model);
});

test.each<[string, Layer, string]>([
  ["a triangle that takes one more", triangle(1), "not-causal"],
  ["the upper triangle", triangle(undefined, 1), "not-causal"],
  [
    "divided by a sum over the queries",
    (b, x) => {
      const weights = b.one("Softplus", [hidden(b, x, scoresOf(b, x))]);
      const sum = b.one("ReduceSum", [weights, axis(b, 1)], { keepdims: 1 });
      return b.one("MatMul", [b.one("Div", [weights, least(b, sum)]), x]);
    },
    "mixes-time",
  ],
  [
    "divided by the sum before anything is hidden",
    (b, x) => {
      const all = b.one("Softplus", [scoresOf(b, x)]);
      const weights = b.one("Sigmoid", [hidden(b, x, scoresOf(b, x))]);
      return b.one("MatMul", [b.one("Div", [weights, sumOf(b, all)]), x]);
    },
    "not-causal",
  ],
  [
    "a gate that is hidden one position late",
    (b, x) => {
      const [own, keys] = counted(b, x);
      const decay = b.one("Exp", [hidden(b, x, b.one("Sub", [own, keys]), 1)]);
      return b.one("MatMul", [b.one("Mul", [scoresOf(b, x), decay]), x]);
    },
    "not-causal",
  ],
  [
    "a gate that is summed from the end",
    (b, x) => {
      const [own, keys] = counted(b, x, 1);
      return softmax(b, x, hidden(b, x, b.one("Add", [scoresOf(b, x), b.one("Sub", [own, keys])])));
    },
    "not-causal",
  ],
])("refused: %s", async (_, layer, code) => {
  await expect(convertModel(of(layer))).rejects.toMatchObject({ code });
});

test.each<[string, (b: Builder, scores: string) => string]>([
  ["slices the keys", (b, scores) => b.one("Slice", [scores, axis(b, 0), axis(b, 1), axis(b, 2)])],
  ["sums over the keys", (b, scores) => b.one("CumSum", [scores, b.ints("keys", -1)])],
])("what is done to the keys is said of them, not of the batch: %s", async (reason, change) => {
  const layer: Layer = (b, x) => softmax(b, x, b.one("Add", [scoresOf(b, x), change(b, scoresOf(b, x))]));
  await expect(convertModel(of(layer))).rejects.toMatchObject({
    code: "mixes-time",
    reason: expect.stringContaining(reason),
  });
});

test("rows of padding are in no sum over the keys", async () => {
  const model = ofIds(DataType.INT64, 16, (b) => {
    const table = b.floats(
      "table",
      [16, CHANNELS],
      Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * i)),
    );
    const x = b.one("Gather", [table, "ids"]);
    const y = normalised(b, x, b.one("Softplus", [hidden(b, x, scoresOf(b, x))]));
    b.one("MatMul", [y, b.one("Transpose", [table], { perm: [1, 0] })], {}, { outputs: ["y"] });
  });
  const { check } = await convertModel(model);
  expect(check.comparisons.map(({ way }) => way)).toContain("padded");
  expect(check.largest).toBeLessThan(1e-5);
});

/** Attention over ids; keys whose id is 3 are hidden, as padding is in older code. @param window positions that are seen, all without one */
const overIds = ({ itself = true, window }: { itself?: boolean; window?: number }, low = -1e9) =>
  ofIds(DataType.INT64, 16, (b) => {
    const table = b.floats(
      "table",
      [16, CHANNELS],
      Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * i)),
    );
    const x = b.one("Gather", [table, "ids"]);
    const keys = b.one("Range", [
      b.ints("first", 0),
      b.one("Squeeze", [b.one("Shape", ["ids"], { start: 1, end: 2 })]),
      b.ints("step", 1),
    ]);
    const rows = b.one("Unsqueeze", [keys, axis(b, 1)]);
    const some = b.one("Unsqueeze", [b.one("Not", [b.one("Equal", ["ids", b.ints("three", 3)])]), axis(b, 1)]);
    const seen = itself ? b.one("Or", [some, b.one("Equal", [rows, keys])]) : some;
    const earlier = b.one("And", [seen, b.one("GreaterOrEqual", [rows, keys])]);
    const apart = b.one("Sub", [rows, keys]);
    const shown = window ? b.one("And", [earlier, b.one("Less", [apart, b.ints("window", window)])]) : earlier;
    const y = softmax(b, x, b.one("Where", [shown, scoresOf(b, x), number(b, low)]));
    b.one("MatMul", [y, b.one("Transpose", [table], { perm: [1, 0] })], {}, { outputs: ["y"] });
  });

test.each<[string, Parameters<typeof overIds>[0], string]>([
  ["all positions", {}, "cache"],
  ["a window", { window: 5 }, "rows"],
])("keys that the ids hide: truth values are carried for %s", async (_, how, form) => {
  const { claim, layers, check } = await convertModel(overIds(how));
  expect(claim).toEqual({ kind: "proven" });
  expect(new Set(layers.map((layer) => layer.form))).toEqual(new Set([form]));
  expect(layers.some(({ channels }) => channels === 1)).toBe(true);
  expect(check.largest).toBeLessThan(1e-5);
});

test("a sequence that begins with hidden ids sees later positions: refused", async () => {
  await expect(convertModel(overIds({ itself: false }))).rejects.toMatchObject({
    code: "not-causal",
    reason: expect.stringContaining("lets position 0 see position 1"),
  });
});

test("paths that part and meet again, forty times in the mask and in the scores, are walked once each", async () => {
  const model = of((b, x) => softmax(b, x, again(b, hidden(b, x, again(b, scoresOf(b, x), 40), 0, 40), 40)));
  await sameAsOriginal(model, {});
});
