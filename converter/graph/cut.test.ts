/** Cutting sub-models out. */
import { expect, test } from "vitest";
import { casesOf, relativeDifference, zooModel } from "../../test/testdata.ts";
import { decodeModel, readModel } from "../file/read.ts";
import { encodeModel } from "../file/write.ts";
import { openModel } from "../ort/run.ts";
import { createBuilder, makeModel } from "./build.ts";
import { cut } from "./cut.ts";
import { DataType, float32Tensor } from "./tensor.ts";

const float = (name: string) => ({ name, type: DataType.FLOAT, dims: ["n"] });

/** first, second = Split(a + b); y = If(c > 0: first · w, else second) */
function sample() {
  const builder = createBuilder(18, ["a", "b", "c", "y", "first", "second"]);
  const sum = builder.one("Add", ["a", "b"], undefined, { outputs: ["sum"] });
  builder.add("Split", [sum], { axis: 0, num_outputs: 2 }, { outputs: ["first", "second"] });
  const positive = builder.one("Greater", ["c", builder.floats("zero", [], [0])]);
  const yes = builder.subgraph();
  const thenBranch = yes.finish("yes", [yes.one("Mul", ["first", builder.floats("w", [1], [10])])]);
  const no = builder.subgraph();
  const elseBranch = no.finish("no", [no.one("Identity", ["second"])]);
  builder.one(
    "If",
    [positive],
    { then_branch: { graph: thenBranch }, else_branch: { graph: elseBranch } },
    { outputs: ["y"] },
  );
  return makeModel({
    inputs: [float("a"), float("b"), { name: "c", type: DataType.FLOAT, dims: [] }],
    outputs: [float("y")],
    nodes: builder.nodes,
    initializers: builder.initializers,
    opsets: 18,
  });
}

test("takes what is needed and no more", async () => {
  const part = cut(sample(), [float("a"), float("b")], [float("second")]);
  expect(part.graph.nodes.map((node) => node.op)).toEqual(["Add", "Split"]);
  expect(part.graph.initializers.size).toBe(0);
  const runner = await openModel(part);
  const { second } = await runner.run({ a: float32Tensor([4], [1, 2, 3, 4]), b: float32Tensor([1], [1]) });
  expect(second).toEqual(float32Tensor([2], [4, 5]));
  await runner.close();
});

test("an intermediate tensor can be given, also one of several outputs of a node", async () => {
  const part = cut(sample(), [float("first"), float("sum"), { name: "c", type: DataType.FLOAT, dims: [] }], ["y"]);
  expect(part.graph.inputs.map((info) => info.name)).toEqual(["first", "sum", "c"]);
  // Valid for anyone: what is written reads back.
  expect(decodeModel(encodeModel(part)).graph.nodes).toHaveLength(3);
  const runner = await openModel(part);
  const feeds = { first: float32Tensor([2], [7, 8]), sum: float32Tensor([4], [1, 2, 3, 4]) };
  expect((await runner.run({ ...feeds, c: float32Tensor([], [1]) })).y).toEqual(float32Tensor([2], [70, 80]));
  expect((await runner.run({ ...feeds, c: float32Tensor([], [-1]) })).y).toEqual(float32Tensor([2], [3, 4]));
  await runner.close();
});

test("an initializer can be given from outside, or be an output", async () => {
  const model = sample();
  const w = [...model.graph.initializers.values()].find((each) => each.dims.length === 1)!.name;
  const scalar = { name: "c", type: DataType.FLOAT, dims: [] };
  const part = cut(model, [float("a"), float("b"), scalar, float(w)], ["y"]);
  expect(part.graph.initializers.has(w)).toBe(false);
  const alone = await openModel(cut(model, [], [{ ...float(w), dims: [1] }]));
  expect((await alone.run({}))[w]).toEqual(float32Tensor([1], [10]));
  await alone.close();
});

test("refuses what depends on an input that is not given", () => {
  expect(() => cut(sample(), [float("a")], ["y"])).toThrow("depends on the model's input");
  expect(() => cut(sample(), [], ["nowhere"])).toThrow("no tensor of this name");
});

test("a zoo model falls into two halves that make the whole", async () => {
  const zoo = zooModel("hyena");
  const model = await readModel(zoo.file);
  const [{ input, output }] = casesOf(zoo) as [ReturnType<typeof casesOf>[number]];
  // Somewhere in the middle: one tensor on which everything after it depends.
  const middle = "add_4";
  const [x] = model.graph.inputs as [(typeof model.graph.inputs)[number]];
  const first = await openModel(cut(model, [x], [middle]));
  const between = await first.run({ [input.name]: input.tensor });
  const stream = { name: middle, type: DataType.FLOAT, dims: undefined };
  const second = await openModel(cut(model, [x, stream], [output.name]));
  const result = await second.run({
    [middle]: between[middle]!,
    ...(second.inputs.includes(x.name) && { [x.name]: input.tensor }),
  });
  expect(relativeDifference(result[output.name]!, output.tensor)).toBeLessThan(1e-5);
  await first.close();
  await second.close();
});
