/** Values that change where the sequence reaches some length: refused in data, allowed as sizes. */
import { expect, test } from "vitest";
import { type Builder, createBuilder, makeModel } from "../graph/build.ts";
import { DataType, float32Tensor } from "../graph/tensor.ts";
import { foldConstants } from "./fold.ts";
import { followTime } from "./follow.ts";
import { inputAxes } from "./inputs.ts";
import { lengthThresholds } from "./thresholds.ts";

/** Operators that are refused in a model x [b, n, 4] → y. */
async function refused(build: (b: Builder) => void): Promise<string[]> {
  const b = createBuilder(18, ["x", "y"]);
  build(b);
  const model = makeModel({
    inputs: [{ name: "x", type: DataType.FLOAT, dims: ["b", "n", 4] }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: ["b", "n", 4] }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
  const constants = await foldConstants(model);
  const time = followTime(model, inputAxes(model), constants, []);
  return lengthThresholds(model, time.facts, constants).map(({ node }) => node.op);
}

const length = (b: Builder) => b.one("Shape", ["x"], { start: 1, end: 2 });
const asFloat = (b: Builder, value: string) => b.one("Cast", [value], { to: DataType.FLOAT });
const scalar = (b: Builder, value: number) => b.constant("scalar", float32Tensor([], [value]));
const table = (b: Builder) => b.floats("table", [8, 4], Float32Array.from({ length: 32 }, Math.sin));

test.each<[string, (b: Builder) => string]>([
  ["n > 5000", (b) => asFloat(b, b.one("Greater", [length(b), b.ints("bound", [5000])]))],
  [
    "1 + (n > 5000)",
    (b) => b.one("Add", [asFloat(b, b.one("Greater", [length(b), b.ints("bound", [5000])])), scalar(b, 1)]),
  ],
  ["min(n, 5000)", (b) => asFloat(b, b.one("Min", [length(b), b.ints("bound", [5000])]))],
  ["n // 5000", (b) => asFloat(b, b.one("Div", [length(b), b.ints("by", [5000])]))],
  ["floor(n / 5000)", (b) => b.one("Floor", [b.one("Div", [asFloat(b, length(b)), scalar(b, 5000)])])],
  [
    "int(0.0002 n)",
    (b) => asFloat(b, b.one("Cast", [b.one("Mul", [asFloat(b, length(b)), scalar(b, 2e-4)])], { to: DataType.INT64 })),
  ],
  ["n % 5000", (b) => asFloat(b, b.one("Mod", [length(b), b.ints("by", [5000])]))],
  ["relu(n - 5000)", (b) => b.one("Relu", [b.one("Sub", [asFloat(b, length(b)), scalar(b, 5000)])])],
])("%s in the values of a tensor", async (_, value) => {
  expect(await refused((b) => b.one("Mul", ["x", value(b)], {}, { outputs: ["y"] }))).toEqual(["Mul"]);
});

test("a table cut at min(n, 8): a size", async () => {
  const rows = (b: Builder) => b.one("Min", [length(b), b.ints("bound", [8])]);
  const cut = (b: Builder) => b.one("Slice", [table(b), b.ints("from", [0]), rows(b), b.ints("axis", [0])]);
  expect(await refused((b) => b.one("Add", ["x", cut(b)], {}, { outputs: ["y"] }))).toEqual([]);
});

test("a smooth function of the length is left to the probes", async () => {
  const inverse = (b: Builder) => b.one("Div", [scalar(b, 1), asFloat(b, length(b))]);
  expect(await refused((b) => b.one("Mul", ["x", inverse(b)], {}, { outputs: ["y"] }))).toEqual([]);
});

test("half the length, rounded, is left to the probes, which have odd lengths", async () => {
  const half = (b: Builder) => asFloat(b, b.one("Div", [length(b), b.ints("by", [2])]));
  expect(await refused((b) => b.one("Mul", ["x", half(b)], {}, { outputs: ["y"] }))).toEqual([]);
});

test("positions may be compared, as a mask does", async () => {
  const positions = (b: Builder) => b.one("Range", [b.ints("from", 0), b.one("Squeeze", [length(b)]), b.ints("by", 1)]);
  const mask = (b: Builder) =>
    b.one("Unsqueeze", [asFloat(b, b.one("Less", [positions(b), b.ints("bound", 5)])), b.ints("axis", [1])]);
  expect(await refused((b) => b.one("Mul", ["x", mask(b)], {}, { outputs: ["y"] }))).toEqual([]);
});
