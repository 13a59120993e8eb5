/** Attention sinks: a column beside the scores that takes its part of the softmax; the graph as exported is the judge. */
import { expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { CHANNELS, sameAsOriginal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";

interface Spelling {
  /** The largest score is taken out before. */
  readonly lowered?: boolean;
  /** Columns that are left out again. */
  readonly cut?: readonly [from: number, to: number];
  /** Where the column stands. */
  readonly front?: boolean;
  readonly later?: number;
  readonly sink?: number;
}

const attention = ({ lowered = false, cut = [0, -1], front = false, later = 0, sink = 0.7 }: Spelling) =>
  small({
    build(b) {
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const keys = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
      const rows = b.one("Add", [b.one("Unsqueeze", [keys, b.ints("axis", [1])]), b.ints("later", later)]);
      const scores = b.one("MatMul", ["x", b.one("Transpose", ["x"], { perm: [0, 2, 1] })]);
      const low = b.floats("low", [], [Number.NEGATIVE_INFINITY]);
      const shown = b.one("Where", [b.one("GreaterOrEqual", [rows, keys]), scores, low]);
      const size = b.one("Concat", [b.one("Shape", ["x"], { start: 0, end: 2 }), b.ints("one", [1])], { axis: 0 });
      const column = b.one("Expand", [b.floats("sink", [1, 1, 1], [sink]), size]);
      const all = b.one("Concat", front ? [column, shown] : [shown, column], { axis: -1 });
      const largest = b.one("ReduceMax", [all, b.ints("last", [-1])], { keepdims: 1 });
      const weights = b.one("Softmax", [lowered ? b.one("Sub", [all, largest]) : all], { axis: -1 });
      const bounds = [b.ints("from", [cut[0]]), b.ints("to", [cut[1]]), b.ints("along", [-1])];
      b.one("MatMul", [b.one("Slice", [weights, ...bounds]), "x"], {}, { outputs: ["y"] });
    },
  });

test.each<[string, Spelling]>([
  ["one column behind the scores", {}],
  ["the largest of them taken out before", { lowered: true }],
  ["a column that is larger than all scores", { sink: 50 }],
])("proven: %s", async (_, spelling) => {
  const { claim, layers } = await convertModel(attention(spelling));
  expect(claim).toEqual({ kind: "proven" });
  expect(layers.map(({ form, channels }) => [form, channels])).toEqual([
    ["cache", CHANNELS],
    ["cache", CHANNELS],
  ]);
  await sameAsOriginal(attention(spelling), {});
});

test.each<[string, ErrorCode, Spelling]>([
  ["a mask that shows one position more", "not-causal", { later: 1 }],
  ["the last key is left out, and the column kept", "mixes-time", { front: true }],
  ["the first key is left out", "mixes-time", { cut: [1, 2 ** 31] }],
  // weights for fewer keys than there are: ONNX Runtime does not run it
  ["two columns are left out", "runtime-failed", { cut: [0, -2] }],
])("refused: %s", async (_, code, spelling) => {
  await expect(convertModel(attention(spelling))).rejects.toMatchObject({ code });
});
