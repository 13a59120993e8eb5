/**
 * Branches that the file decides: TorchScript's `squeeze` of an axis whose size it does not know, flags, one If in another. The exported graph
 * in ORT is the judge. What the length decides is another graph at another length, also where one size of it is a limit.
 */
import { expect, test } from "vitest";
import { CHANNELS, conv, drawn, sameAsOriginal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import type { Builder } from "../graph/build.ts";
import { DataType, makeTensor } from "../graph/tensor.ts";
import { foldConstants } from "../time/fold.ts";
import { decided } from "./decided.ts";

type Branch = (b: Builder) => string;

function either(b: Builder, condition: string, yes: Branch, no: Branch): string {
  const graphOf = (name: string, build: Branch) => {
    const inner = b.subgraph();
    const made = inner.one("Identity", [build(inner)]);
    return { graph: inner.finish(name, [made]) };
  };
  return b.one("If", [condition], { then_branch: graphOf("then", yes), else_branch: graphOf("else", no) });
}

const flag = (b: Builder, value: boolean) =>
  b.constant("flag", makeTensor(DataType.BOOL, [], Uint8Array.from([Number(value)])));
const sizeOf = (b: Builder, x: string, axis: number) =>
  b.one("Gather", [b.one("Shape", [x]), b.ints("axis", axis)], { axis: 0 });
const isOne = (b: Builder, x: string, axis: number) => b.one("Equal", [sizeOf(b, x, axis), b.ints("one", 1)]);
const as =
  (op: string, x: string): Branch =>
  (b) =>
    b.one(op, [x]);

/** A convolution of height 1, its axis taken away where it is of size 1. */
function squeezed(b: Builder): string {
  const high = b.one("Unsqueeze", [b.one("Transpose", ["x"], { perm: [0, 2, 1] }), b.ints("axes", [2])]);
  const y = b.one("Conv", [high, drawn(b, "w", [CHANNELS, CHANNELS, 1, 3])], { pads: [0, 2, 0, 0] });
  const without: Branch = (inner) => inner.one("Squeeze", [y, b.ints("axes", [2])]);
  const flat = either(b, isOne(b, y, 2), without, as("Identity", y));
  return b.one("Transpose", [flat], { perm: [0, 2, 1] });
}

const model = (build: Branch) => small({ build: (b) => b.one("Tanh", [build(b)], {}, { outputs: ["y"] }) });

test.each<[string, Branch]>([
  ["an axis of size 1 is taken away", squeezed],
  ["a flag of the file", (b) => conv(b, either(b, flag(b, false), as("Relu", "x"), as("Sin", "x")))],
  [
    "one in another, and a branch that only hands on",
    (b) => {
      const y = conv(b, "x");
      const outer = either(
        b,
        b.one("Not", [isOne(b, y, 2)]),
        (inner) => either(inner, flag(inner, true), as("Identity", y), as("Relu", y)),
        as("Sin", y),
      );
      return either(b, flag(b, true), as("Sin", outer), as("Relu", outer));
    },
  ],
])("decided: %s", async (_, build) => {
  const { claim } = await convertModel(model(build));
  expect(claim.kind).toBe("proven");
  await sameAsOriginal(model(build));
});

const first = (b: Builder, rows: number) =>
  b.one("Slice", ["x", b.ints("from", [0]), b.ints("to", [rows]), b.ints("time", [1])]);

test.each<[string, Branch]>([
  ["that a sequence is longer than 2", (b) => b.one("Greater", [sizeOf(b, "x", 1), b.ints("two", 2)])],
  ["that it has three positions to cut", (b) => b.one("Equal", [sizeOf(b, first(b, 3), 1), b.ints("three", 3)])],
  [
    "the smaller of its length and 2",
    (b) => b.one("Equal", [b.one("Min", [sizeOf(b, "x", 1), b.ints("two", 2)]), b.ints("two", 2)]),
  ],
  ["its length by 2", (b) => b.one("Equal", [b.one("Mod", [sizeOf(b, "x", 1), b.ints("two", 2)]), b.ints("zero", 0)])],
  ["that there is one sequence", (b) => isOne(b, "x", 0)],
])("refused: %s", async (_, condition) => {
  const branching = model((b) => conv(b, either(b, condition(b), as("Relu", "x"), as("Sin", "x"))));
  const { graph } = await decided(branching, foldConstants);
  expect(graph.nodes.some(({ op }) => op === "If")).toBe(true);
  await expect(convertModel(branching)).rejects.toMatchObject({
    where: { operator: expect.stringMatching(/^(If|Slice)$/) },
  });
});
