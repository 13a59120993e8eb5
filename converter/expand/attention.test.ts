/** Attention in a fused operator, of ONNX and of ONNX Runtime, written out where no inner shape is declared: the operator is the judge. */
import { expect, test } from "vitest";
import { CHANNELS, conversion, drawn, positions, sameAsOriginal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { expanded } from "./index.ts";

const WIDTH = 8;

type Attributes = Readonly<Record<string, number | readonly number[] | { readonly float: number }>>;

/** How [batch, time, heads · width] becomes [batch, heads, time, width]. */
type Heads = (b: Builder, x: string, heads: number) => string;

const byConstant: Heads = (b, x, heads) =>
  b.one("Transpose", [b.one("Reshape", [x, b.ints("heads", [0, 0, heads, -1])])], { perm: [0, 2, 1, 3] });

/** As torch.onnx.export writes `x.view(b, n, heads, width).transpose(1, 2)`. */
const bySizes: Heads = (b, x, heads) => {
  const shape = b.one("Shape", [x]);
  const size = (axis: number) =>
    b.one("Unsqueeze", [b.one("Gather", [shape, b.ints("axis", axis)]), b.ints("front", [0])]);
  const wanted = b.one("Concat", [size(0), size(1), b.ints("heads", [heads]), b.ints("width", [WIDTH])], { axis: 0 });
  return b.one("Transpose", [b.one("Reshape", [x, wanted])], { perm: [0, 2, 1, 3] });
};

/** Heads in front of a split, as packed projections are taken apart. */
const bySplit: Heads = (b, x, heads) => {
  const parts = b.add("Split", [x], { axis: -1, num_outputs: heads }, { outputs: heads });
  const apart = parts.map((part) => b.one("Unsqueeze", [part, b.ints("axis", [1])]));
  return b.one("Concat", apart, { axis: 1 });
};

interface Standard {
  readonly attributes?: Attributes;
  readonly heads?: Heads;
  readonly groups?: number;
  readonly mask?: (b: Builder) => string;
}

const standard = ({ attributes = {}, heads = byConstant, groups = 4, mask }: Standard) =>
  small({
    opset: 23,
    build(b) {
      const of = (name: string, count: number) =>
        heads(b, b.one("MatMul", ["x", drawn(b, name, [CHANNELS, count * WIDTH])]), count);
      const inputs = [of("q", 4), of("k", groups), of("v", groups), mask?.(b) ?? ""];
      const attended = b.one("Attention", inputs, attributes);
      const joined = b.one("Reshape", [
        b.one("Transpose", [attended], { perm: [0, 2, 1, 3] }),
        b.ints("joined", [0, 0, 4 * WIDTH]),
      ]);
      b.one("MatMul", [joined, drawn(b, "out", [4 * WIDTH, CHANNELS])], {}, { outputs: ["y"] });
    },
  });

const CAUSAL = { is_causal: 1 };

test.each<[string, Standard]>([
  ["heads by a constant shape", { attributes: CAUSAL }],
  ["heads by computed sizes", { attributes: CAUSAL, heads: bySizes }],
  ["heads that were split", { attributes: CAUSAL, heads: bySplit }],
  ["grouped heads", { attributes: CAUSAL, groups: 2, heads: bySizes }],
  ["a scale and a soft cap", { attributes: { ...CAUSAL, scale: { float: 0.3 }, softcap: { float: 1.5 } } }],
])("of ONNX: %s", async (_, spelling) => {
  // a file for one token has no rows that grow
  await sameAsOriginal(standard(spelling), {});
  expect((await conversion(standard(spelling))).claim).toEqual({ kind: "proven" });
});

interface Packed {
  readonly attributes?: Attributes;
  /** Widths of queries, keys and values. */
  readonly widths?: readonly [number, number, number];
  /** What is added to the scores. */
  readonly pairs?: (b: Builder) => string;
  /** `mask_index`: an input of the graph of these axes. */
  readonly mask?: readonly string[];
}

const packed = ({ attributes = {}, widths = [WIDTH, WIDTH, WIDTH], pairs, mask }: Packed) =>
  small({
    inputs: mask ? [{ name: "mask", type: DataType.INT32, dims: mask }] : [],
    build(b) {
      const whole = widths.reduce((sum, width) => sum + width, 0);
      const inputs = [
        "x",
        drawn(b, "w", [CHANNELS, whole]),
        drawn(b, "bias", [whole]),
        mask ? "mask" : "",
        "",
        pairs?.(b) ?? "",
      ];
      const options = { domain: "com.microsoft" };
      const attended = b.one("Attention", inputs, { num_heads: 2, ...attributes }, options);
      b.one("MatMul", [attended, drawn(b, "out", [widths[2], CHANNELS])], {}, { outputs: ["y"] });
    },
  });

const LATER = { unidirectional: 1 };
/** [1, 1, time, time]: -1e30 at keys that are `ahead` or more behind the query. */
const hidden = (ahead: number) => (b: Builder) => {
  const rows = positions(b);
  const apart = b.one("Sub", [b.one("Transpose", [rows], { perm: [1, 0] }), rows]);
  const seen = b.one("Less", [apart, b.floats("ahead", [], [ahead])]);
  const added = b.one("Where", [seen, b.floats("none", [], [0]), b.floats("low", [], [-1e30])]);
  return b.one("Unsqueeze", [added, b.ints("axes", [0, 1])]);
};

test.each<[string, Packed]>([
  ["unidirectional", { attributes: LATER }],
  ["a scale", { attributes: { ...LATER, scale: { float: 0.3 } } }],
  ["wider values", { attributes: { ...LATER, qkv_hidden_sizes: [8, 8, 12] }, widths: [8, 8, 12] }],
  ["a mask of pairs that is added", { pairs: hidden(1) }],
])("of ONNX Runtime: %s", async (_, spelling) => {
  await sameAsOriginal(packed(spelling), {});
  expect((await conversion(packed(spelling))).claim).toEqual({ kind: "proven" });
});

test.each([
  ["of ONNX, without a mask", standard({ heads: bySizes })],
  ["of ONNX Runtime, without a mask", packed({})],
  ["of ONNX Runtime, one later position is seen", packed({ pairs: hidden(2) })],
])("attends to later positions, and is refused: %s", async (_, model) => {
  await expect(convertModel(model)).rejects.toMatchObject({
    code: "not-causal",
    reason: expect.stringMatching(/lets position 0 see position 1/),
  });
});

test.each([
  [
    "a mask of pairs in `mask_index`",
    packed({ attributes: LATER, mask: ["b", "n", "n"] }),
    /'mask_index', 'mask'; a mask \[batch, keys\]/,
  ],
])("refused with its reason: %s", async (_, model, reason) => {
  await expect(convertModel(model)).rejects.toMatchObject({ reason: expect.stringMatching(reason) });
});

test("stays where the sizes of its heads do not follow from anything", () => {
  const model = small({
    opset: 23,
    build(b) {
      const apart = b.one("Unsqueeze", ["x", b.ints("axis", [1])]);
      const unknown = b.one("CenterCropPad", [apart, b.one("Shape", [apart])]);
      b.one(
        "Squeeze",
        [b.one("Attention", [unknown, unknown, unknown], CAUSAL), b.ints("axis", [1])],
        {},
        { outputs: ["y"] },
      );
    },
  });
  const { unwritten = new Map<string, string>() } = expanded(model);
  expect([...unwritten.values()]).toEqual([expect.stringMatching(/no sizes are declared for 'CenterCropPad'/)]);
});
