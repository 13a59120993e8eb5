/** What an If chooses by is what it is refused for. */
import { expect, test } from "vitest";
import { convertModel } from "../convert.ts";
import { type Builder, createBuilder, makeModel } from "../graph/build.ts";
import { withFields } from "../graph/schema.ts";
import { DataType } from "../graph/tensor.ts";

function branching(condition: (b: Builder) => string) {
  const b = createBuilder(18, ["x", "c", "y"]);
  const graphOf = (op: string) => {
    const inner = b.subgraph();
    const name = inner.one(op, ["x"]);
    return withFields(inner.finish(op, [{ name, type: DataType.FLOAT, dims: ["batch", "n", 3] }]), {});
  };
  const branches = { then_branch: { graph: graphOf("Tanh") }, else_branch: { graph: graphOf("Relu") } };
  const chosen = b.one("If", [condition(b)], branches);
  b.one("CumSum", [chosen, b.ints("axis", 1)], {}, { outputs: ["y"] });
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: ["batch", "n", 3] });
  return makeModel({
    inputs: [info("x"), { name: "c", type: DataType.FLOAT, dims: [1] }],
    ...{ outputs: [info("y")], nodes: b.nodes, initializers: b.initializers, opsets: 18 },
  });
}

const size = (b: Builder, axis: number) =>
  b.one("Squeeze", [b.one("Shape", ["x"], { start: axis, end: axis + 1 }), b.ints("axes", [0])]);
test.each([
  [
    "the length",
    (b: Builder) => b.one("Greater", [size(b, 1), b.ints("limit", 32)]),
    "depends-on-length",
    /by the length/,
  ],
  [
    "twice the length, as a number",
    (b: Builder) =>
      b.one("Greater", [
        b.one("Cast", [b.one("Mul", [size(b, 1), b.ints("two", 2)])], { to: DataType.FLOAT }),
        b.floats("limit", [], [64]),
      ]),
    "depends-on-length",
    /by the length/,
  ],
  [
    "the batch size",
    (b: Builder) => b.one("Equal", [size(b, 0), b.ints("one", 1)]),
    "mixes-batch",
    /by the size of the batch/,
  ],
] as const)("%s", async (_, condition, code, reason) => {
  const refusal = { code, reason: expect.stringMatching(reason), where: { operator: "If" } };
  await expect(convertModel(branching(condition))).rejects.toMatchObject(refusal);
});

test("a flag that is given with the sequence", async () => {
  const flag = (b: Builder) =>
    b.one("Greater", [b.one("ReduceSum", ["c"], { keepdims: 0 }), b.floats("zero", [], [0])]);
  await expect(convertModel(branching(flag))).rejects.toMatchObject({
    ...{
      code: "control-flow",
      reason: expect.stringMatching(/chooses by the data/),
      remedy: expect.stringMatching(/Where/),
    },
  });
});
