/** What is left of padding may be no number: states of every kind behind it see zeros there. */
import { expect, test } from "vitest";
import { convertModel } from "../converter/convert.ts";
import type { Builder } from "../converter/graph/build.ts";
import { DataType } from "../converter/graph/tensor.ts";
import { ofIds } from "./small.ts";

const [VOCABULARY, WIDTH] = [11, 4];
const wave = (size: number, by: number) => Array.from({ length: size }, (_, i) => Math.sin(by * (i + 1)));

/** The largest of three positions, less their mean over the channels: of padding alone, the difference of two infinities. */
function embedded(b: Builder): string {
  const rows = b.one("Gather", [b.floats("table", [VOCABULARY, WIDTH], wave(VOCABULARY * WIDTH, 1.3)), "ids"]);
  const turned = b.one("Transpose", [rows], { perm: [0, 2, 1] });
  const largest = b.one("MaxPool", [turned], { kernel_shape: [3], pads: [2, 0] });
  const x = b.one("Transpose", [largest], { perm: [0, 2, 1] });
  return b.one("Sub", [x, b.one("ReduceMean", [x, b.ints("axes", [2])], { keepdims: 1 })]);
}

const attention = (spelled: boolean) => (b: Builder, x: string) => {
  const scores = b.one("MatMul", [x, b.one("Transpose", [x], { perm: [0, 2, 1] })]);
  const length = b.one("Squeeze", [b.one("Shape", ["ids"], { start: 1, end: 2 })]);
  const range = b.one("Range", [b.ints("zero", 0), length, b.ints("one", 1)]);
  const seen = b.one("GreaterOrEqual", [b.one("Unsqueeze", [range, b.ints("axis", [1])]), range]);
  const hidden = b.one("Where", [seen, scores, b.floats("low", [], [Number.NEGATIVE_INFINITY])]);
  if (!spelled) return b.one("MatMul", [b.one("Softmax", [hidden], { axis: -1 }), x]);
  const raised = b.one("Exp", [hidden]);
  const sum = b.one("ReduceSum", [raised, b.ints("axes", [-1])], { keepdims: 1 });
  return b.one("MatMul", [b.one("Div", [raised, sum]), x]);
};

test.each<[string, (b: Builder, x: string) => string]>([
  [
    "a long convolution",
    (b, x) => {
      const kernel = Array.from({ length: 40 * WIDTH }, (_, i) => 0.9 ** Math.floor(i % 40) * Math.cos(i));
      const filter = b.floats("filter", [WIDTH, 1, 40], kernel);
      const turned = b.one("Transpose", [x], { perm: [0, 2, 1] });
      const y = b.one("Conv", [turned, filter], { group: WIDTH, kernel_shape: [40], pads: [39, 0] });
      return b.one("Transpose", [y], { perm: [0, 2, 1] });
    },
  ],
  ["a running sum", (b, x) => b.one("CumSum", [x, b.ints("axis", 1)])],
  ["attention", attention(false)],
  ["attention behind attention whose softmax is written out", (b, x) => attention(false)(b, attention(true)(b, x))],
])("%s", async (_, build) => {
  const model = ofIds(DataType.INT64, VOCABULARY, (b) => {
    const head = b.floats("head", [WIDTH, VOCABULARY], wave(WIDTH * VOCABULARY, 0.6));
    b.one("MatMul", [build(b, embedded(b)), head], {}, { outputs: ["y"] });
  });
  const { check } = await convertModel(model);
  expect(check.comparisons.map(({ way }) => way)).toContain("padded");
  // a running sum rounds
  expect(check.largest).toBeLessThan(5e-5);
});
