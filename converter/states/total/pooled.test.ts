/** Attentive pooling: the answer after what was read so far, compared with the export; what positions read is refused. */
import { expect, test } from "vitest";
import { CHANNELS, close, signal, small, steps } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import { toNumbers } from "../../graph/tensor.ts";
import { openModel } from "../../ort/run.ts";

const weights = (b: Builder, dims: number[], scale: number) =>
  b.floats(
    "w",
    dims,
    Array.from({ length: dims.reduce((a, c) => a * c, 1) }, (_, i) => scale * Math.sin(1 + i * i)),
  );
const scores = (b: Builder, heads: number, scale = 1) =>
  b.one("MatMul", [
    b.one("Tanh", [b.one("MatMul", ["x", weights(b, [CHANNELS, 6], 1)])]),
    weights(b, [6, heads], scale),
  ]);
const pooled = (b: Builder, heads: number, scale?: number) => {
  const w = b.one("Softmax", [scores(b, heads, scale)], { axis: 1 });
  return b.one("Mul", [w, b.one("Sin", ["x"])]);
};
const sum = (b: Builder, x: string) => b.one("ReduceSum", [x, b.ints("axes", [1])], { keepdims: 0 });
const answering = (build: (b: Builder) => string) =>
  small({ outputDims: ["b", CHANNELS], build: (b) => b.one("Identity", [build(b)], {}, { outputs: ["y"] }) });

test.each<[string, (b: Builder) => string]>([
  ["weights of all channels", (b) => sum(b, pooled(b, 1))],
  ["weights of each channel", (b) => sum(b, pooled(b, CHANNELS))],
  ["scores of hundreds, whose powers overflow", (b) => sum(b, pooled(b, 1, 300))],
  [
    "by a product, a small network behind it",
    (b) => {
      const w = b.one("Softmax", [b.one("Transpose", [scores(b, 1)], { perm: [0, 2, 1] })], { axis: -1 });
      const y = b.one("Squeeze", [b.one("MatMul", [w, "x"]), b.ints("axes", [1])]);
      return b.one("Tanh", [b.one("MatMul", [y, weights(b, [CHANNELS, CHANNELS], 1)])]);
    },
  ],
  [
    "weights turned behind the softmax",
    (b) => {
      const w = b.one("Transpose", [b.one("Softmax", [scores(b, 1)], { axis: 1 })], { perm: [0, 2, 1] });
      return b.one("Squeeze", [b.one("MatMul", [w, "x"]), b.ints("axes", [1])]);
    },
  ],
])("%s", async (_, build) => {
  const original = answering(build);
  const { layers, claim, model, check } = await convertModel(original);
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.filter(({ kind }) => kind === "answer for the whole sequence").length).toBe(3);
  expect(check.largest).toBeLessThan(1e-5);
  const x = signal(300);
  const runner = await openModel(original);
  const wanted = toNumbers((await runner.run({ x })).y!);
  await runner.close();
  close((await steps(model, x)).at(-1)!, wanted);
});

test.each<[string, (b: Builder) => string]>([
  ["every position is weighed", (b) => b.one("ReduceMax", [pooled(b, 1), b.ints("axes", [1])], { keepdims: 0 })],
  [
    "every position reads it",
    (b) => {
      const mean = b.one("ReduceSum", [pooled(b, 1), b.ints("axes", [1])], { keepdims: 1 });
      return b.one("ReduceMax", [b.one("Sub", ["x", mean]), b.ints("axes", [1])], { keepdims: 0 });
    },
  ],
  [
    "the weights are squared",
    (b) => {
      const w = b.one("Softmax", [scores(b, 1)], { axis: 1 });
      return sum(b, b.one("Mul", [b.one("Mul", [w, w]), "x"]));
    },
  ],
])("refused: %s", async (_, build) => {
  await expect(convertModel(answering(build))).rejects.toMatchObject({
    code: expect.stringMatching(/causal|mixes|linear/),
  });
});
