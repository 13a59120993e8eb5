/** A bias for each head that an export makes once for each row of the batch, rows and heads in one axis, as Bloom's. */
import { expect, test } from "vitest";
import { CHANNELS as HEADS, sameAsOriginal, small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";

/** Made of a slope for each head [heads, 1, 1] and the batch size [1]: [batch · heads, 1, 1]. */
type Slopes = (b: Builder, slopes: string, batch: string) => string;

/** softmax(q kᵀ + slope · j, later keys hidden) v, each channel a head. */
const attention = (spread: Slopes, steepness = [0.5, 0.25, 0.125, 0.0625]): Model =>
  small({
    build(b) {
      const [batch, length] = [0, 1].map((axis) => b.one("Shape", ["x"], { start: axis, end: axis + 1 })) as [
        string,
        string,
      ];
      const sizes = (parts: readonly string[]) => b.one("Concat", [...parts], { axis: 0 });
      const byHead = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      const rest = [length, b.ints("one", [1])];
      const heads = b.one("Reshape", [byHead, sizes([b.ints("rows", [-1]), ...rest])]);
      const scores = b.one("MatMul", [heads, b.one("Transpose", [heads], { perm: [0, 2, 1] })]);
      const end = b.one("Squeeze", [length]);
      const keys = b.one("Range", [b.ints("first", 0), end, b.ints("step", 1)]);
      const places = b.one("Cast", [keys], { to: 1 });
      const bias = b.one("Mul", [spread(b, b.floats("slopes", [HEADS, 1, 1], steepness), batch), places]);
      const shown = b.one("GreaterOrEqual", [b.one("Unsqueeze", [keys, b.ints("axis", [1])]), keys]);
      const low = b.floats("low", [], [Number.NEGATIVE_INFINITY]);
      const weights = b.one("Softmax", [b.one("Where", [shown, b.one("Add", [scores, bias]), low])], { axis: -1 });
      const mixed = b.one("Reshape", [
        b.one("MatMul", [weights, heads]),
        sizes([batch, b.ints("heads", [HEADS]), length]),
      ]);
      b.one("Transpose", [mixed], { perm: [0, 2, 1] }, { outputs: ["y"] });
    },
  });

const repeated: Slopes = (b, slopes, batch) =>
  b.one("Tile", [slopes, b.one("Concat", [batch, b.ints("once", [1, 1])], { axis: 0 })]);
/** The first head's slope for all rows, then the next one's. */
const interleaved: Slopes = (b, slopes, batch) => {
  const flat = b.one("Reshape", [slopes, b.ints("column", [HEADS, 1])]);
  const wide = b.one("Expand", [flat, b.one("Concat", [b.ints("heads", [HEADS]), batch], { axis: 0 })]);
  return b.one("Reshape", [wide, b.ints("shape", [-1, 1, 1])]);
};

test("slopes repeated for each row of the batch", async () => {
  await sameAsOriginal(attention(repeated), {});
});

test("slopes in the order of the heads, so that rows of a batch have others, are refused", async () => {
  await expect(convertModel(attention(interleaved))).rejects.toMatchObject({ code: "mixes-batch" });
});

test("in the order of the heads, all alike, they are the same for every row", async () => {
  await sameAsOriginal(attention(interleaved, [0.25, 0.25, 0.25, 0.25]), {});
});
