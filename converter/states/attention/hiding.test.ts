/** An export with a mask of its own: what a call of padding alone gives is a number, and no later row sees it. */
import { expect, test } from "vitest";
import { CHANNELS, drawn, ofIds } from "../../../test/small.ts";
import { relativeDifference } from "../../../test/testdata.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import { DataType, int64Tensor, toNumbers } from "../../graph/tensor.ts";
import { carried } from "../../ort/carried.ts";
import { openModel } from "../../ort/run.ts";

const WORDS = 16;
/** The least float32, which published code hides with as often. */
const LOWEST = Math.fround(-3.4028234663852886e38);
const number = (b: Builder, value: number) => b.floats("number", [], [value]);
const last = (b: Builder) => b.ints("last", [-1]);

/** The largest score of a row, taken out of it, whatever the opset. */
const largest = (b: Builder, scores: string) => b.one("ReduceMax", [scores, last(b)], { keepdims: 1 });

/** Weights of a softmax written out, and what they weigh divided before or behind. */
const SPELLINGS: readonly (readonly [string, (b: Builder, scores: string, x: string) => string])[] = [
  [
    "divided before",
    (b, scores, x) => {
      const raised = b.one("Exp", [b.one("Sub", [scores, largest(b, scores)])]);
      const sum = b.one("ReduceSum", [raised, last(b)], { keepdims: 1 });
      return b.one("MatMul", [b.one("Div", [raised, sum]), x]);
    },
  ],
  [
    "divided behind",
    (b, scores, x) => {
      const raised = b.one("Exp", [b.one("Sub", [scores, largest(b, scores)])]);
      const sum = b.one("ReduceSum", [raised, last(b)], { keepdims: 1 });
      return b.one("Div", [b.one("MatMul", [raised, x]), sum]);
    },
  ],
  [
    "nothing taken out",
    (b, scores, x) => {
      const raised = b.one("Exp", [scores]);
      const sum = b.one("Add", [b.one("ReduceSum", [raised, last(b)], { keepdims: 1 }), number(b, 1e-9)]);
      return b.one("MatMul", [b.one("Div", [raised, sum]), x]);
    },
  ],
  ["the operator", (b, scores, x) => b.one("MatMul", [b.one("Softmax", [scores], { axis: -1 }), x])],
];

/** Two layers of attention over ids and `attention_mask`. @param window positions that are seen; all without one */
function model(attend: (typeof SPELLINGS)[number][1], low: number, window?: number) {
  const made = ofIds(DataType.INT64, WORDS, (b) => {
    const length = b.one("Squeeze", [b.one("Shape", ["ids"], { start: 1, end: 2 })]);
    const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
    const apart = b.one("Sub", [b.one("Unsqueeze", [keys, b.ints("axis", [1])]), keys]);
    const earlier = b.one("GreaterOrEqual", [apart, b.ints("zero", 0)]);
    const near = window ? b.one("And", [earlier, b.one("Less", [apart, b.ints("window", window)])]) : earlier;
    const there = b.one("Unsqueeze", [b.one("Cast", ["attention_mask"], { to: DataType.BOOL }), b.ints("axis", [1])]);
    const seen = b.one("And", [near, there]);
    const layer = (x: string) => {
      const scores = b.one("MatMul", [x, b.one("Transpose", [x], { perm: [0, 2, 1] })]);
      return b.one("Add", [x, attend(b, b.one("Where", [seen, scores, number(b, low)]), x)]);
    };
    const x = b.one("Gather", [drawn(b, "table", [WORDS, CHANNELS]), "ids"]);
    b.one("MatMul", [layer(layer(x)), drawn(b, "head", [CHANNELS, WORDS])], {}, { outputs: ["y"] });
  });
  const inputs = [...made.graph.inputs, { name: "attention_mask", type: DataType.INT64, dims: ["b", "n"] }];
  return { ...made, graph: { ...made.graph, inputs } };
}

const cases = SPELLINGS.flatMap(([name, attend]) =>
  [undefined, 5].flatMap((window) =>
    [-1e9, LOWEST].map((low) => ({
      name: `${name}, ${window ? "a window" : "all positions"}, ${low}`,
      attend,
      window,
      low,
    })),
  ),
);

test.each(cases)(
  "$name: a row that begins with a call of padding gives what it gives alone",
  async ({ attend, window, low }) => {
    const converted = (await convertModel(model(attend, low, window))).model;
    const runner = await openModel(converted);
    const ids = [3, 1, 4, 1, 5, 9, 2, 6];
    const mask = (padding: number, read: number) =>
      int64Tensor(
        [1, padding + read],
        Array.from({ length: padding + read }, (_, i) => (i < padding ? 0 : 1)),
      );
    const [alone, padded] = [carried(converted.graph, runner, 1), carried(converted.graph, runner, 1)];
    await padded.next(3, { input_ids: int64Tensor([1, 3], [7, 7, 7]), attention_mask: mask(3, 0) });
    const mixed = carried(converted.graph, runner, 1);
    const first = await mixed.next(5, { input_ids: int64Tensor([1, 5], [7, 7, 7, 3, 1]), attention_mask: mask(3, 2) });
    expect(toNumbers(first.logits!).some(Number.isNaN)).toBe(false);
    for (const [i, id] of ids.entries()) {
      const input_ids = int64Tensor([1, 1], [id]);
      const due = await alone.next(1, { input_ids, attention_mask: mask(0, i + 1) });
      const got = await padded.next(1, { input_ids, attention_mask: mask(3, i + 1) });
      expect(relativeDifference(got.logits!, due.logits!)).toBeLessThan(1e-5);
    }
    await runner.close();
  },
);
