/** GroupQueryAttention of ONNX Runtime, written out: the operator itself, on the whole sequence, is the judge. */
import { expect, test } from "vitest";
import { CHANNELS, conversion, drawn, sameAsOriginal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";

const [HEADS, GROUPS, WIDTH] = [4, 2, 16];
const ROWS = 4096;

interface Spelling {
  readonly attributes?: Readonly<Record<string, number | { readonly float: number }>>;
  readonly packed?: boolean;
  /** Projections are Einsum, and the length is cut out of the queries' shape: no size is declared. */
  readonly undeclared?: true;
  /** Makes `seqlens_k`, [batch] int32, from the length [1] and the batch size [1]. */
  readonly lengths?: (b: Builder, length: string, batch: string) => string;
}

const whole = (b: Builder, length: string, batch: string): string => {
  const last = b.one("Sub", [length, b.ints("one", [1])]);
  return b.one("Cast", [b.one("Expand", [last, batch])], { to: DataType.INT32 });
};

const model = ({ attributes = {}, packed = false, undeclared, lengths = whole }: Spelling) =>
  small({
    build(b) {
      const [batch, length] = [0, 1].map((axis) => b.one("Shape", ["x"], { start: axis, end: axis + 1 }));
      const product = (w: string) =>
        undeclared ? b.one("Einsum", ["x", w], { equation: "bnc,cd->bnd" }) : b.one("MatMul", ["x", w]);
      const total = b.one("Squeeze", [b.one("Cast", [length!], { to: DataType.INT32 })]);
      const of = (name: string, heads: number) => product(drawn(b, name, [CHANNELS, heads * WIDTH]));
      const parts = packed
        ? [of("qkv", HEADS + 2 * GROUPS), "", ""]
        : [of("q", HEADS), of("k", GROUPS), of("v", GROUPS)];
      const angles = (turn: (x: number) => number) =>
        Float32Array.from({ length: (ROWS * WIDTH) / 2 }, (_, i) => turn(Math.floor(i / 8) / 30 ** ((i % 8) / 8)));
      const tables = attributes.do_rotary
        ? [Math.cos, Math.sin].map((turn) => b.floats(turn.name, [ROWS, WIDTH / 2], angles(turn)))
        : [];
      const own = b.one("Slice", [b.one("Shape", [parts[0]!]), b.ints("from", [1]), b.ints("to", [2])]);
      const last = lengths(b, undeclared ? own : length!, batch!);
      const inputs = [...parts, "", "", last, total, ...tables];
      const heads = { num_heads: HEADS, kv_num_heads: GROUPS, ...attributes };
      const [attended] = b.add("GroupQueryAttention", inputs, heads, { domain: "com.microsoft", outputs: 3 });
      b.one("MatMul", [attended!, drawn(b, "out", [HEADS * WIDTH, CHANNELS])], {}, { outputs: ["y"] });
    },
  });

test.each<[string, Spelling, string]>([
  ["grouped heads", {}, "cache"],
  ["packed", { packed: true }, "cache"],
  ["packed, where no size is declared", { packed: true, undeclared: true }, "cache"],
  ["a scale and a soft cap", { attributes: { scale: { float: 0.3 }, softcap: { float: 1.5 } } }, "cache"],
  ["rotary positions", { attributes: { do_rotary: 1 } }, "cache"],
  ["rotary positions of interleaved pairs", { attributes: { do_rotary: 1, rotary_interleaved: 1 } }, "cache"],
  ["a window", { attributes: { local_window_size: 6 } }, "rows"],
  [
    "a window with rotary positions, packed",
    { attributes: { local_window_size: 9, do_rotary: 1 }, packed: true },
    "rows",
  ],
])("%s", async (_, spelling, form) => {
  // a file for one token has no rows that grow
  await sameAsOriginal(model(spelling), {});
  const { layers, claim } = await conversion(model(spelling));
  expect(new Set(layers.filter((layer) => layer.form !== "counter").map((layer) => layer.form))).toEqual(
    new Set([form]),
  );
  if (!spelling.attributes?.do_rotary) expect(claim).toEqual({ kind: "proven" });
  const { local_window_size: window } = spelling.attributes ?? {};
  if (window) expect(layers[0]!.order).toBe(Number(window) - 1);
});

test.each<[string, Spelling]>([
  [
    "a constant length",
    {
      lengths: (b, _length, batch) => {
        const last = b.ints("last", [4]);
        return b.one("Cast", [b.one("Expand", [last, batch])], { to: DataType.INT32 });
      },
    },
  ],
  [
    "one position less",
    {
      lengths: (b, length, batch) => {
        const last = b.one("Sub", [length, b.ints("two", [2])]);
        return b.one("Cast", [b.one("Expand", [last, batch])], { to: DataType.INT32 });
      },
    },
  ],
  [
    "one position less, of the queries' shape",
    {
      undeclared: true,
      lengths: (b, length, batch) => {
        const last = b.one("Sub", [length, b.ints("two", [2])]);
        return b.one("Cast", [b.one("Expand", [last, batch])], { to: DataType.INT32 });
      },
    },
  ],
  ["a smooth softmax", { attributes: { smooth_softmax: 1 } }],
])("refused as the operator that it is: %s", async (_, spelling) => {
  await expect(convertModel(model(spelling))).rejects.toMatchObject({
    code: "mixes-time",
    reason: expect.stringMatching(spelling.lengths ? /'seqlens_k'.* not made of the length/ : /smooth softmax/),
  });
});
