/** Attention over a small stream: what a mask hides, by rule or by looking at every pair; a mask that leaks is refused. */
import { expect, test } from "vitest";
import { CHANNELS, small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";

type Mask = (b: Builder, rows: string, keys: string) => string;

/** softmax(x xᵀ, hidden where the mask says so) x */
const attention = (mask: Mask) =>
  small({
    build(b) {
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
      const rows = b.one("Unsqueeze", [keys, b.ints("axis", [1])]);
      const turned = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      const scores = b.one("MatMul", ["x", turned]);
      const low = b.floats("low", [], [Number.NEGATIVE_INFINITY]);
      const weights = b.one("Softmax", [b.one("Where", [mask(b, rows, keys), scores, low])], { axis: -1 });
      b.one("MatMul", [weights, "x"], {}, { outputs: ["y"] });
    },
  });

const causal: Mask = (b, rows, keys) => b.one("GreaterOrEqual", [rows, keys]);
const at = (b: Builder, tensor: string, position: number) => b.one("Equal", [tensor, b.ints("at", position)]);

test.each<[string, Mask]>([
  ["a comparison", causal],
  ["the other way round, negated", (b, rows, keys) => b.one("Not", [b.one("Less", [rows, keys])])],
  ["a difference", (b, rows, keys) => b.one("GreaterOrEqual", [b.one("Sub", [rows, keys]), b.ints("zero", 0)])],
])("hidden by rule: %s", async (_, mask) => {
  const { claim, layers } = await convertModel(attention(mask));
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ form, channels }) => [form, channels])).toEqual([
    ["cache", CHANNELS],
    ["cache", CHANNELS],
  ]);
});

test("a mask that no rule follows is claimed as far as every pair was looked at", async () => {
  const mask: Mask = (b, rows, keys) => {
    const squared = (tensor: string) => b.one("Mul", [tensor, tensor]);
    return b.one("GreaterOrEqual", [squared(rows), squared(keys)]);
  };
  expect((await convertModel(attention(mask))).claim).toMatchObject({ kind: "seen", positions: 2048 });
});

test.each([60, 600, 1500])("a mask that leaks one pair, at position %i, is refused", async (position) => {
  const mask: Mask = (b, rows, keys) => {
    const leak = b.one("And", [at(b, rows, position), at(b, keys, position + 1)]);
    return b.one("Or", [causal(b, rows, keys), leak]);
  };
  await expect(convertModel(attention(mask))).rejects.toMatchObject({
    code: "not-causal",
    reason: expect.stringContaining(`lets position ${position} see position ${position + 1}`),
  });
});

test.each([1, 60])("a mask that is another one for row %i of a batch is refused", async (row) => {
  const mask: Mask = (b, rows, keys) => {
    const count = b.one("Squeeze", [b.one("Shape", ["x"], { start: 0, end: 1 })]);
    const sequences = b.one("Range", [b.ints("first", 0), count, b.ints("step", 1)]);
    const apart = b.one("Unsqueeze", [sequences, b.ints("axes", [1, 2])]);
    const other = b.one("And", [at(b, apart, row), b.one("Less", [keys, rows])]);
    return b.one("And", [causal(b, rows, keys), b.one("Not", [other])]);
  };
  await expect(convertModel(attention(mask))).rejects.toMatchObject({ code: "mixes-batch" });
});
