/** Each row of the table: the lifted graph gives what ONNX Runtime gives for the file as it is. */

import { expect, test } from "vitest";
import { encodeModel } from "../file/encode.ts";
import { decodeModel } from "../file/read.ts";
import type { AttributeInput } from "../graph/attributes.ts";
import { initializerOf, makeModel, makeNode } from "../graph/build.ts";
import type { Initializer, Model, Node } from "../graph/graph.ts";
import { DataType, float32Tensor, int64Tensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { openModel } from "../ort/run.ts";
import { lift } from "./lift.ts";
import { ROWS } from "./table.ts";

/** One operator at one opset. */
interface Case {
  readonly op: string;
  readonly opset: number;
  readonly dims: readonly number[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  /** Further inputs, which are constants. */
  readonly constants?: readonly Tensor[];
  readonly outputs?: number;
  /** Type of the outputs that are not float32. */
  readonly types?: Readonly<Record<number, number>>;
  /** Relative difference that another order of the same sums makes. Default: none. */
  readonly rounding?: number;
  readonly says?: string;
}

const floats = (...values: number[]): Tensor => float32Tensor([values.length], values);
const float = (value: number): AttributeInput => ({ float: value });

const CASES: readonly Case[] = [
  { op: "Squeeze", opset: 11, dims: [2, 1, 3, 1], attributes: { axes: [1, -1] } },
  { op: "Squeeze", opset: 7, dims: [2, 1, 3, 1], says: "all axes of size 1" },
  { op: "Unsqueeze", opset: 11, dims: [2, 3], attributes: { axes: [0, 2] } },
  { op: "ReduceSum", opset: 11, dims: [2, 3, 4], attributes: { axes: [-1], keepdims: 0 } },
  { op: "ReduceSum", opset: 7, dims: [2, 3, 4], says: "all axes" },
  { op: "ReduceMean", opset: 7, dims: [2, 3, 4], attributes: { axes: [1] }, says: "which stays as it is" },
  { op: "Slice", opset: 9, dims: [2, 6, 4], attributes: { axes: [1, 2], starts: [1, -3], ends: [-1, 2 ** 52] } },
  { op: "Slice", opset: 7, dims: [5, 6], attributes: { starts: [1, 0], ends: [3, 100] }, says: "the first axes" },
  { op: "Split", opset: 11, dims: [2, 6], attributes: { axis: 1, split: [2, 4] }, outputs: 2 },
  { op: "Split", opset: 7, dims: [6, 2], outputs: 3, says: "equal parts" },
  { op: "Pad", opset: 10, dims: [2, 3], attributes: { pads: [1, 0, 0, 2], value: float(1.5) } },
  { op: "Pad", opset: 7, dims: [2, 4], attributes: { pads: [0, 2, 0, 1], mode: "reflect" } },
  { op: "Pad", opset: 9, dims: [2, 4], attributes: { pads: [0, -1, 0, 2], mode: "edge" }, says: "with an end cut off" },
  { op: "TopK", opset: 9, dims: [3, 5], attributes: { k: 2 }, outputs: 2, types: { 1: DataType.INT64 } },
  { op: "TopK", opset: 7, dims: [5, 3], attributes: { k: 4, axis: 0 }, outputs: 2, types: { 1: DataType.INT64 } },
  { op: "Clip", opset: 10, dims: [40], attributes: { min: float(-0.5), max: float(0.25) } },
  { op: "Clip", opset: 7, dims: [40], attributes: { max: float(0.1) }, says: "without a least value" },
  { op: "Dropout", opset: 7, dims: [4, 5], attributes: { ratio: float(0.4) } },
  { op: "Dropout", opset: 10, dims: [4, 5], attributes: { ratio: float(0.4) } },
  {
    ...{ op: "BatchNormalization", opset: 8, dims: [2, 3, 5], attributes: { epsilon: float(1e-3) } },
    constants: [floats(1, -2, 0.5), floats(0.1, 0.2, 0.3), floats(0, 1, -1), floats(1, 0.5, 2)],
  },
  {
    ...{ op: "BatchNormalization", opset: 7, dims: [4, 2, 2], attributes: { spatial: 0 }, rounding: 1e-6 },
    constants: [
      [1, -2, 0.5, 3],
      [0.1, 0.2, 0.3, 0.4],
      [0, 1, -1, 2],
      [1, 0.5, 2, 4],
    ].map((v) => float32Tensor([2, 2], v)),
    says: "a mean for every place",
  },
  ...["Softmax", "LogSoftmax", "Hardmax"].flatMap((op): Case[] => [
    { op, opset: 11, dims: [2, 3, 4, 5], rounding: 1e-6, says: "over all axes but the first" },
    { op, opset: 7, dims: [2, 3, 4], attributes: { axis: 2 }, rounding: 1e-6, says: "over the last axis" },
    { op, opset: 11, dims: [2, 3, 4], attributes: { axis: -2 }, rounding: 1e-6, says: "over the last two" },
    { op, opset: 12, dims: [2, 3], attributes: { axis: 0 }, rounding: 1e-6, says: "over everything" },
    { op, opset: 11, dims: [2, 3, 4], attributes: { axis: -1 }, rounding: 1e-6 },
  ]),
  { op: "Upsample", opset: 7, dims: [1, 2, 3, 4], attributes: { scales: { floats: [1, 1, 2, 3] } } },
  { op: "Upsample", opset: 9, dims: [1, 2, 5], constants: [floats(1, 1, 2.5)] },
  {
    ...{ op: "Upsample", opset: 9, dims: [1, 2, 3, 4], attributes: { mode: "linear" } },
    ...{ constants: [floats(1, 1, 2, 1.5)], rounding: 1e-6 },
  },
  { op: "Resize", opset: 10, dims: [1, 2, 7], constants: [floats(1, 1, 0.4)], says: "shorter" },
  { op: "Resize", opset: 10, dims: [1, 6, 5], constants: [floats(1, 0.5, 2.5)], says: "one axis shorter, one longer" },
  {
    ...{ op: "Resize", opset: 10, dims: [1, 2, 6, 4], attributes: { mode: "linear" } },
    ...{ constants: [floats(1, 1, 0.5, 1.5)], rounding: 1e-6 },
  },
  ...[
    [0.5, 2.5],
    [3, 1.5],
    [0.4, 0.3],
  ].map(
    ([a, b]): Case => ({
      ...{ op: "Resize", opset: 11, dims: [1, 2, 7, 9], says: `TensorFlow's nearest, ${a} and ${b} times` },
      attributes: { coordinate_transformation_mode: "tf_half_pixel_for_nn", nearest_mode: "floor" },
      constants: [floats(), floats(1, 1, a!, b!)],
    }),
  ),
  {
    ...{ op: "Scatter", opset: 9, dims: [3, 4], attributes: { axis: 1 } },
    constants: [int64Tensor([3, 2], [0, 2, 1, 3, 2, 0]), float32Tensor([3, 2], [9, 8, 7, 6, 5, 4])],
  },
];

/** Numbers between −1 and 1 that repeat nowhere. */
const spread = (dims: readonly number[]): Tensor =>
  float32Tensor(
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, k) => ((k * 0.6180339887) % 1) * 2 - 1),
  );

function modelOf({ op, opset, dims, attributes = {}, constants = [], outputs = 1, types = {} }: Case): Model {
  const initializers = constants.map((tensor, k): Initializer => initializerOf(`c${k}`, tensor));
  const names = Array.from({ length: outputs }, (_, k) => `y${k}`);
  const node = makeNode("node", op, ["x", ...initializers.map(({ name }) => name)], names, { attributes });
  return read(
    [node],
    initializers,
    dims,
    names.map((name, k) => ({ name, type: types[k] ?? DataType.FLOAT })),
    opset,
  );
}

/** As a file has it. */
function read(
  nodes: readonly Node[],
  initializers: readonly Initializer[],
  dims: readonly number[] | undefined,
  outputs: readonly { readonly name: string; readonly type: number }[],
  opset: number,
): Model {
  const inputs = dims ? [{ name: "x", type: DataType.FLOAT, dims }] : [];
  const declared = outputs.map((output) => ({ ...output, dims: undefined }));
  return decodeModel(encodeModel(makeModel({ inputs, outputs: declared, nodes, initializers, opsets: opset })));
}

async function run(model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
  const runner = await openModel(model, { optimization: "disabled" });
  return runner.run(feeds).finally(runner.close);
}

function expectSame(lifted: Record<string, Tensor>, original: Record<string, Tensor>, rounding = 0): void {
  expect(Object.keys(lifted)).toEqual(Object.keys(original));
  for (const [name, tensor] of Object.entries(original)) {
    const got = lifted[name]!;
    expect([got.type, got.dims]).toEqual([tensor.type, tensor.dims]);
    const [a, b] = [toNumbers(got), toNumbers(tensor)];
    const scale = Math.max(1, ...b.map(Math.abs));
    expect(Math.max(...a.map((value, k) => Math.abs(value - b[k]!))) / scale).toBeLessThanOrEqual(rounding);
  }
}

test.each(
  CASES.map((each) => [`${each.op} of opset ${each.opset}${each.says ? `, ${each.says}` : ""}`, each] as const),
)("%s", async (_, each) => {
  const model = modelOf(each);
  const lifted = lift(model);
  expect(lifted.opsets.get("")).toBe(13);
  const feeds = { x: spread(each.dims) };
  expectSame(await run(lifted, feeds), await run(model, feeds), each.rounding);
  // what is written is read, and is not lifted again
  expect(lift(decodeModel(encodeModel(lifted))).graph.nodes.length).toBe(lifted.graph.nodes.length);
});

test("every row is tried", () => {
  const tried = new Set([...CASES.map(({ op }) => op), "Scan", "CausalConvWithState", "LinearAttention", "Range"]);
  expect(Object.keys(ROWS).filter((op) => !tried.has(op))).toEqual([]);
});

test("Range of opset 27 counts as that of 26 does, in what its type holds", async () => {
  const range = (opset: number, attributes = {}) => {
    const ends = [0.5, 6, 1.25].map((value, k) => initializerOf(`end ${k}`, float32Tensor([], [value])));
    const node = makeNode(
      "range",
      "Range",
      ends.map(({ name }) => name),
      ["r"],
      { attributes },
    );
    const sum = makeNode("sum", "Add", ["r", "x"], ["y"]);
    return read([node, sum], ends, [1], [{ name: "y", type: DataType.FLOAT }], opset);
  };
  const feeds = { x: floats(2) };
  const lifted = lift(range(27, { stash_type: 1 }));
  expect(lifted.opsets.get("")).toBe(26);
  const got = await run(lifted, feeds);
  expectSame(got, await run(range(26), feeds));
  expect([...toNumbers(got.y!)]).toEqual([2.5, 3.75, 5, 6.25, 7.5]);
});

test.each<[string, () => [Node[], Initializer[]]]>([
  [
    "cut out of another's",
    () => [
      [
        makeNode("shape", "Shape", ["x"], ["s"]),
        makeNode("first", "Gather", ["s", "at"], ["f"], { attributes: { axis: 0 } }),
        makeNode("last", "Slice", ["s", "from", "to"], ["l"]),
        makeNode("twice", "Mul", ["l", "halves"], ["t"]),
        makeNode("sizes", "Concat", ["f", "halves", "rest", "t"], ["sizes"], { attributes: { axis: 0 } }),
        makeNode("reshape", "Reshape", ["x", "sizes"], ["r"]),
      ],
      [
        initializerOf("at", int64Tensor([1], [0])),
        initializerOf("from", int64Tensor([1], [-1])),
        initializerOf("to", int64Tensor([1], [2 ** 40])),
        initializerOf("halves", int64Tensor([1], [1])),
        initializerOf("rest", int64Tensor([1], [-1])),
      ],
    ],
  ],
  [
    "of a product by its equation",
    () => [[makeNode("product", "Einsum", ["x", "x"], ["r"], { attributes: { equation: "bij,bkj->bkij" } })], []],
  ],
  [
    "of a mask that compares",
    () => [
      [
        makeNode("front", "Unsqueeze", ["x"], ["f"], { attributes: { axes: [1] } }),
        makeNode("mask", "LessOrEqual", ["f", "zero"], ["m"]),
        makeNode("masked", "Where", ["m", "zero", "low"], ["r"]),
      ],
      [initializerOf("zero", float32Tensor([], [0])), initializerOf("low", float32Tensor([], [-9]))],
    ],
  ],
])("Softmax over the last of four axes stays one where the shape is %s", async (_, build) => {
  const [nodes, initializers] = build();
  const softmax = makeNode("softmax", "Softmax", ["r"], ["y"], { attributes: { axis: 3 } });
  const model = read([...nodes, softmax], initializers, [2, 3, 4], [{ name: "y", type: DataType.FLOAT }], 12);
  const lifted = lift(model);
  expect(lifted.graph.nodes.filter(({ op }) => op === "Reshape")).toHaveLength(nodes.at(-1)!.op === "Reshape" ? 1 : 0);
  const feeds = { x: spread([2, 3, 4]) };
  expectSame(await run(lifted, feeds), await run(model, feeds), 1e-6);
});

const TF = { coordinate_transformation_mode: "tf_half_pixel_for_nn" };

test.each([
  ["Scan", 8, { body: { graph: { name: "body" } }, num_scan_inputs: 1 }, "takes the batch apart"],
  ["Resize", 10, { mode: "nearest" }, "its scales are computed"],
  ["Resize", 12, { ...TF, mode: "linear" }, "tf_half_pixel_for_nn with mode linear"],
  ["Resize", 11, { ...TF, nearest_mode: "ceil" }, "tf_half_pixel_for_nn with nearest_mode ceil"],
] as const)("%s of opset %i is refused by name where no later operator means it", (op, opset, attributes, reason) => {
  const node = makeNode("the node", op, ["x", "x"], ["y"], { attributes });
  const model = read([node], [], [3], [{ name: "y", type: DataType.FLOAT }], opset);
  expect(() => lift(model)).toThrow(`node 'the node' (${op}): ${op} of opset ${opset}: `);
  expect(() => lift(model)).toThrow(reason);
});

test("a mask of Dropout that something reads is refused", () => {
  const node = makeNode("drop", "Dropout", ["x"], ["y", "mask"]);
  const model = read(
    [node],
    [],
    [3],
    ["y", "mask"].map((name) => ({ name, type: DataType.FLOAT })),
    9,
  );
  expect(() => lift(model)).toThrow("its mask is used");
});

test("inside subgraphs, and with the type that a tensor has", async () => {
  const half = { name: "half", type: DataType.FLOAT16, dims: undefined };
  const branch = (name: string, axes: number[]) => ({
    name,
    node: [
      makeNode(`${name} cast`, "Cast", ["x"], [`${name} c`], { attributes: { to: DataType.FLOAT16 } }),
      makeNode(`${name} add`, "Unsqueeze", [`${name} c`], [name], { attributes: { axes } }),
    ].map(({ proto }) => proto),
    output: [valueInfoToProto({ ...half, name })],
  });
  const nodes = [
    makeNode("sum", "ReduceSum", ["x"], ["s"], { attributes: { keepdims: 0 } }),
    makeNode("positive", "Greater", ["s", "zero"], ["p"]),
    makeNode("if", "If", ["p"], ["y"], {
      attributes: { then_branch: { graph: branch("a", [0]) }, else_branch: { graph: branch("b", [1]) } },
    }),
  ];
  const zero = initializerOf("zero", float32Tensor([], [0]));
  const model = read(nodes, [zero], [3], [{ name: "y", type: DataType.FLOAT16 }], 11);
  const lifted = lift(model);
  for (const x of [float32Tensor([3], [1, 2, 3]), float32Tensor([3], [-1, -2, -3])])
    expectSame(await run(lifted, { x }), await run(model, { x }));
});

test("an initializer that had to be an input before IR 4 is a constant", async () => {
  const w = initializerOf("w", floats(1, 2, 3));
  const nodes = [
    makeNode("mul", "Mul", ["x", "w"], ["m"]),
    makeNode("cut", "Slice", ["m"], ["y"], { attributes: { starts: [1], ends: [3] } }),
  ];
  const made = makeModel({
    ...{ nodes, initializers: [w], opsets: 8, irVersion: 3 },
    inputs: [{ name: "x", type: DataType.FLOAT, dims: [3] }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: [2] }],
  });
  const info = valueInfoToProto({ name: "w", type: DataType.FLOAT, dims: [3] });
  const model = decodeModel(encodeModel({ ...made, proto: { graph: { name: "g", input: [info] } } }));
  const lifted = decodeModel(encodeModel(lift(model)));
  expect(lifted.proto.graph!.input ?? []).toEqual([]);
  const feeds = { x: floats(1, 1, 1) };
  expectSame(await run(lifted, feeds), await run(model, feeds));
});
