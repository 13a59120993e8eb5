/** A prefix that is seen by all: how long it is, is data, and no rows that are carried make up for it. The reason says so. */
import { expect, test } from "vitest";
import { small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import type { ValueInfo } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";

const places = (b: Builder): string => {
  const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
  return b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
};

/** Keys behind the query are hidden unless `shown` shows them. */
const prefixed = (inputs: readonly ValueInfo[], shown: (b: Builder, keys: string) => string) =>
  small({
    inputs,
    build(b) {
      const keys = places(b);
      const causal = b.one("GreaterOrEqual", [b.one("Unsqueeze", [keys, b.ints("axis", [1])]), keys]);
      const seen = b.one("Or", [causal, shown(b, keys)]);
      const scores = b.one("MatMul", ["x", b.one("Transpose", ["x"], { perm: [0, 2, 1] })]);
      const low = b.floats("low", [], [Number.NEGATIVE_INFINITY]);
      b.one("MatMul", [b.one("Softmax", [b.one("Where", [seen, scores, low])]), "x"], {}, { outputs: ["y"] });
    },
  });

const input = (type: number, dims: ValueInfo["dims"]): ValueInfo => ({ name: "prefix", type, dims });

test.each([
  [
    "its length for each sequence",
    prefixed([input(DataType.INT64, ["b", 1, 1])], (b, keys) => b.one("Less", [keys, "prefix"])),
  ],
  ["its length, one number", prefixed([input(DataType.INT64, [1])], (b, keys) => b.one("Less", [keys, "prefix"]))],
  [
    "a mask of its positions",
    prefixed([input(DataType.BOOL, ["b", "n"])], (b) => b.one("Unsqueeze", ["prefix", b.ints("axis", [1])])),
  ],
  ["a mask of pairs", prefixed([input(DataType.BOOL, ["b", "n", "n"])], () => "prefix")],
  ["a mask of pairs, a matrix for all", prefixed([input(DataType.BOOL, ["n", "n"])], () => "prefix")],
  [
    "a mask of pairs with an axis for heads",
    prefixed([input(DataType.BOOL, ["b", 1, "n", "n"])], (b) => b.one("Squeeze", ["prefix", b.ints("axis", [1])])),
  ],
])("refused, for it depends on the data: %s", async (_, model) => {
  await expect(convertModel(model)).rejects.toMatchObject({
    reason: expect.stringMatching(/depends on the data/),
  });
});
