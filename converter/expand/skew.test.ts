/**
 * Relative positions by the skew trick, as Music Transformer and Transformer-XL write it: the exported graph in ORT is the judge. A shift by
 * another place is another relation, and is not taken for this one; without its mask it lets later positions in.
 */
import { expect, test } from "vitest";
import { CHANNELS, conversion, drawn, sameAsOriginal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";

const [HEADS, WIDTH, ROWS] = [2, 8, 4096];
const END = 2 ** 53 - 1;

const ints = (b: Builder, ...values: number[]) => b.ints("list", values);
const turned = (b: Builder, x: string) => b.one("Transpose", [x], { perm: [0, 1, 3, 2] });
const heads = (b: Builder, x: string) =>
  b.one("Transpose", [b.one("Reshape", [x, ints(b, 0, 0, HEADS, WIDTH)])], { perm: [0, 2, 1, 3] });

interface Relative {
  /** Rows of the distances n - 1, …, 0: the last rows of a table, or of sines that are projected. */
  readonly of?: "table" | "sines";
  /** How the column in front is joined, and how what is left is shaped again. */
  readonly by?: "Pad" | "Concat";
  readonly shapedAgain?: boolean;
  readonly columns?: number;
  readonly from?: number;
  /** Columns for the distances of later keys as well, and the first so many (beside n) cut off at the end. */
  readonly wide?: boolean;
  readonly more?: number;
  /** Keys up to so many behind the query are seen; undefined: all. */
  readonly seen?: number | undefined;
}

/** [heads, width, time] or [width, time] */
function distances(b: Builder, of: Relative["of"], length: string, wide: boolean): string {
  if (of === "table" && wide) {
    const table = drawn(b, "table", [2 * ROWS - 1, WIDTH]);
    const [first, end] = [b.one("Sub", [ints(b, ROWS), length]), b.one("Add", [ints(b, ROWS - 1), length])];
    return b.one("Transpose", [b.one("Slice", [table, first, end, ints(b, 0)])], { perm: [1, 0] });
  }
  if (of === "table") {
    const table = drawn(b, "table", [ROWS, WIDTH]);
    const rows = b.one("Slice", [table, b.one("Sub", [ints(b, ROWS), length]), ints(b, END), ints(b, 0)]);
    return b.one("Transpose", [rows], { perm: [1, 0] });
  }
  const last = b.one("Cast", [b.one("Sub", [b.one("Squeeze", [length]), b.ints("one", 1)])], { to: DataType.FLOAT });
  const below = b.one("Neg", [b.one("Cast", [b.one("Squeeze", [length])], { to: DataType.FLOAT })]);
  const limit = wide ? below : b.floats("end", [], [-1]);
  const places = b.one("Range", [last, limit, b.floats("step", [], [-1])]);
  const frequencies = b.floats("frequencies", [1, 3], [1, 0.1, 0.01]);
  const angles = b.one("Mul", [b.one("Unsqueeze", [places, ints(b, 1)]), frequencies]);
  const waves = b.one("Concat", [b.one("Sin", [angles]), b.one("Cos", [angles])], { axis: -1 });
  const rows = b.one("MatMul", [waves, drawn(b, "r", [6, HEADS * WIDTH])]);
  const apart = b.one("Reshape", [rows, ints(b, -1, HEADS, WIDTH)]);
  return b.one("Transpose", [apart], { perm: [1, 2, 0] });
}

const model = ({
  of = "table",
  by = "Pad",
  shapedAgain = false,
  columns = 1,
  from = 1,
  wide = false,
  ...more
}: Relative) =>
  small({
    build(b) {
      const seen = "seen" in more ? more.seen : 0;
      const part = (name: string) => heads(b, b.one("MatMul", ["x", drawn(b, name, [CHANNELS, HEADS * WIDTH])]));
      const [q, k, v] = ["q", "k", "v"].map(part);
      const [batch, length] = [0, 1].map((axis) => b.one("Shape", ["x"], { start: axis, end: axis + 1 }));
      const relative = b.one("MatMul", [q!, distances(b, of, length!, wide)]);
      const front = b.one("Concat", [batch!, ints(b, HEADS), length!, ints(b, columns)], { axis: 0 });
      const padded =
        by === "Pad"
          ? b.one("Pad", [relative, ints(b, 0, 0, 0, columns, 0, 0, 0, 0)])
          : b.one("Concat", [b.one("ConstantOfShape", [front]), relative], { axis: 3 });
      const twice = b.one("Add", [length!, length!]);
      const high = wide ? twice : b.one("Add", [length!, ints(b, columns)]);
      const shape = b.one("Concat", [batch!, ints(b, HEADS), high, length!], { axis: 0 });
      const rows = b.one("Slice", [b.one("Reshape", [padded, shape]), ints(b, from), ints(b, END), ints(b, 2)]);
      const whole = columns === from ? rows : b.one("Slice", [rows, ints(b, 0), length!, ints(b, 2)]);
      const shaped = shapedAgain || wide ? b.one("Reshape", [whole, b.one("Shape", [relative])]) : whole;
      const left = [ints(b, more.more ?? 0), b.one("Add", [length!, ints(b, more.more ?? 0)]), ints(b, 3)];
      const again = wide ? b.one("Slice", [shaped, ...left]) : shaped;
      let scores = b.one("Add", [b.one("MatMul", [q!, turned(b, k!)]), again]);
      if (seen !== undefined) {
        const keys = b.one("Range", [b.ints("zero", 0), b.one("Squeeze", [length!]), b.ints("one", 1)]);
        const own = b.one("Add", [b.one("Unsqueeze", [keys, ints(b, 1)]), b.ints("seen", seen)]);
        const low = b.floats("low", [], [Number.NEGATIVE_INFINITY]);
        scores = b.one("Where", [b.one("GreaterOrEqual", [own, keys]), scores, low]);
      }
      const mixed = b.one("MatMul", [b.one("Softmax", [scores], { axis: -1 }), v!]);
      const joined = b.one("Reshape", [b.one("Transpose", [mixed], { perm: [0, 2, 1, 3] }), ints(b, 0, 0, -1)]);
      b.one("MatMul", [joined, drawn(b, "out", [HEADS * WIDTH, CHANNELS])], {}, { outputs: ["y"] });
    },
  });

test.each<[string, Relative, object]>([
  ["Music Transformer: the last rows of a table", {}, { kind: "proven", positions: ROWS }],
  ["joined in front, and shaped again", { by: "Concat", shapedAgain: true }, { kind: "proven", positions: ROWS }],
  [
    "Transformer-XL: sines of the distance, projected",
    { of: "sines", by: "Concat", shapedAgain: true },
    { kind: "proven" },
  ],
  ["a conformer: the middle of a table", { wide: true }, { kind: "proven", positions: ROWS }],
  [
    "sines of the distances before and behind, projected",
    { wide: true, of: "sines", by: "Concat" },
    { kind: "proven" },
  ],
])("%s", async (_, how, claim) => {
  // a file for one token has no rows that grow
  await sameAsOriginal(model(how), {});
  const made = await conversion(model(how));
  expect(made.claim).toMatchObject(claim);
  expect(made.layers.map(({ form }) => form)).toEqual(["cache", "cache"]);
});

test.each<[string, Relative, string]>([
  ["no mask", { seen: undefined }, "not-causal"],
  ["a mask that shows one later key", { seen: 1 }, "not-causal"],
  ["a conformer without a mask", { wide: true, seen: undefined }, "not-causal"],
  ["the columns one further", { wide: true, more: 1 }, "depends-on-data"],
  ["a shift by none", { from: 0, columns: 1 }, "mixes-time"],
  ["two columns, and two rows", { from: 2, columns: 2 }, "mixes-time"],
])("refused: %s", async (_, how, code) => {
  await expect(convertModel(model(how))).rejects.toMatchObject({ code });
});
