/** Models of one sequence: converted with a batch in front, each row gives what the export gives for it alone. */
import path from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { type Converted, openConverted } from "../../test/converted.ts";
import { casesOf, relativeDifference } from "../../test/testdata.ts";
import { convertModel } from "../convert.ts";
import { readModel } from "../file/read.ts";
import { type Builder, createBuilder, makeModel } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { DataType, float32Tensor, int64Tensor, type Tensor } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";

const C = 4;
const wave = (size: number, by: number) => Array.from({ length: size }, (_, i) => Math.sin(by * (i + 1)));

interface Layout {
  readonly x: readonly (number | string)[];
  readonly y?: readonly (number | string)[];
  readonly type?: number;
}

/** x → y, both without a batch. */
function unbatched(
  build: (b: Builder) => string,
  { x, y = x, type = DataType.FLOAT }: Layout = { x: ["n", C] },
): Model {
  const b = createBuilder(18, ["x", "y"]);
  b.one("Identity", [build(b)], {}, { outputs: ["y"] });
  return makeModel({
    inputs: [{ name: "x", type, dims: x }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: y }],
    ...{ nodes: b.nodes, initializers: b.initializers, opsets: 18 },
  });
}

const plus = (b: Builder, x: string, axis: number) => b.one("Unsqueeze", [x, b.ints("axes", [axis])]);
const minus = (b: Builder, x: string, axis: number) => b.one("Squeeze", [x, b.ints("axes", [axis])]);
const turned = (b: Builder, x: string, ...perm: number[]) => b.one("Transpose", [x], { perm });
const square = (b: Builder, by: number) => b.floats("w", [C, C], wave(C * C, by));
const conv = (b: Builder, x: string, pads: readonly number[]) =>
  b.one("Conv", [x, b.floats("taps", [C, C, 3], wave(3 * C * C, 0.7))], { kernel_shape: [3], pads: [...pads] });
const gru = (b: Builder, x: string, attributes = {}) =>
  b.one(
    "GRU",
    [x, b.floats("wx", [1, 3 * C, C], wave(3 * C * C, 0.7)), b.floats("wh", [1, 3 * C, C], wave(3 * C * C, 0.9))],
    {
      hidden_size: C,
      ...attributes,
    },
  );
const positions = (b: Builder) =>
  b.one("Range", [b.ints("from", 0), minus(b, b.one("Shape", ["x"], { start: 0, end: 1 }), 0), b.ints("by", 1)]);
const attention = (b: Builder, hidden: boolean) => {
  const [q, k, v] = [0.3, 0.5, 0.9].map((by) => b.one("MatMul", ["x", square(b, by)])) as [string, string, string];
  const scores = b.one("MatMul", [q, turned(b, k, 1, 0)]);
  const places = positions(b);
  const future = b.one("Less", [plus(b, places, 1), plus(b, places, 0)]);
  const masked = hidden ? b.one("Where", [future, b.floats("low", [], [-1e9]), scores]) : scores;
  return b.one("MatMul", [b.one("Softmax", [masked], { axis: -1 }), v]);
};

const CARRIED: readonly (readonly [string, Model])[] = [
  [
    "[T, C] with a batch of its own inside",
    unbatched((b) => minus(b, turned(b, conv(b, turned(b, plus(b, "x", 0), 0, 2, 1), [2, 0]), 0, 2, 1), 0)),
  ],
  [
    "padding that is put together from constants, as TorchScript's exporter writes it",
    unbatched((b) => {
      const channels = turned(b, plus(b, "x", 0), 0, 2, 1);
      const amounts = b.one("Concat", [b.ints("front", [0, 0, 2]), b.ints("behind", [0, 0, 0])], { axis: 0 });
      const padded = b.one("Pad", [channels, b.one("Cast", [amounts], { to: DataType.INT64 })]);
      return minus(b, turned(b, conv(b, padded, [0, 0]), 0, 2, 1), 0);
    }),
  ],
  ["[C, T]", unbatched((b) => minus(b, conv(b, plus(b, "x", 0), [2, 0]), 0), { x: [C, "n"] })],
  ["a running sum along axis 0", unbatched((b) => b.one("CumSum", [b.one("Tanh", ["x"]), b.ints("axis", 0)]))],
  [
    "a recurrent layer and a linear one",
    unbatched((b) => {
      const all = minus(b, minus(b, gru(b, plus(b, "x", 1)), 1), 1);
      return b.one("Gemm", [all, square(b, 0.6), b.floats("bias", [C], wave(C, 2))], { transB: 1 });
    }),
  ],
  ["attention", unbatched((b) => attention(b, true))],
  [
    "an Einsum of a weight, and an ellipsis",
    unbatched((b) => {
      const mixed = b.one("Einsum", [b.one("Tanh", ["x"]), square(b, 0.8)], { equation: "ij, kj -> ik" });
      const gated = b.one("Einsum", [mixed, square(b, 0.4), b.one("Atan", ["x"])], { equation: "...j,jk,...k->...k" });
      return b.one("CumSum", [gated, b.ints("axis", 0)]);
    }),
  ],
  [
    "attention by Einsum, masked by Trilu",
    unbatched((b) => {
      const [q, k, v] = [0.3, 0.5, 0.9].map((by) => b.one("MatMul", ["x", square(b, by)])) as [string, string, string];
      const scores = b.one("Einsum", [q, k], { equation: "id,jd->ij" });
      const seen = b.one("Trilu", [b.one("Sigmoid", [b.one("Tanh", [scores])])], { upper: 0 });
      const weights = b.one("Div", [seen, b.one("ReduceSum", [seen, b.ints("last", [-1])], { keepdims: 1 })]);
      return b.one("Einsum", [weights, v], { equation: "ij,jd->id" });
    }),
  ],
  [
    "copies along the features",
    unbatched((b) => {
      const twice = b.one("Tile", ["x", b.ints("repeats", [1, 2])]);
      const back = b.one("MatMul", [twice, b.floats("back", [2 * C, C], wave(2 * C * C, 0.6))]);
      return b.one("CumSum", [b.one("LpNormalization", [back], { axis: 1 }), b.ints("axis", 0)]);
    }),
  ],
  [
    "ids [T]",
    unbatched(
      (b) => {
        const row = b.one("Gather", [b.floats("table", [7, C], wave(7 * C, 1.3)), "x"]);
        return b.one("CumSum", [row, b.ints("axis", 0)]);
      },
      { x: ["n"], y: ["n", C], type: DataType.INT64 },
    ),
  ],
];

const rowOf = (model: Model, length: number, row: number): Tensor => {
  const { type, dims } = model.graph.inputs[0]!;
  const sizes = dims!.map((size) => (typeof size === "number" ? size : length));
  const values = wave(
    sizes.reduce((a, c) => a * c, 1),
    0.9 + row,
  );
  return type === DataType.INT64
    ? int64Tensor(
        sizes,
        values.map((value) => Math.floor((value + 1) * 3)),
      )
    : float32Tensor(sizes, values);
};
const alone = (tensor: Tensor): Tensor => ({ ...tensor, dims: [1, ...tensor.dims] });

async function expectRows(
  converted: Converted,
  name: string,
  input: Tensor,
  output: Tensor,
  axis: number,
): Promise<void> {
  const length = input.dims[axis]!;
  const steps = Array.from({ length }, (_, i) => i + 1);
  for (const cuts of [[length], steps, [1, 5, 6, length]]) {
    const got = Object.values(await converted.run({ [name]: alone(input) }, cuts))[0]!;
    expect(got.dims).toEqual([1, ...output.dims]);
    expect(relativeDifference(got, alone(output))).toBeLessThan(1e-5);
  }
}

describe("converted, with a batch in front", () => {
  test.each(CARRIED)("%s", async (_, model) => {
    const { model: made, batchAdded, claim, renamed, check } = await convertModel(model);
    expect(batchAdded).toBe(true);
    expect(claim.kind).toBe("proven");
    expect(check.comparisons.some(({ batch }) => batch > 1)).toBe(true);
    const input = renamed.get("x") ?? "x";
    const axis = model.graph.inputs[0]!.dims!.indexOf("n");
    const output = renamed.get("y") ?? "y";
    const runner = await openConverted(made, { [input]: axis + 1, [output]: axis + 1 });
    const original = await openModel(model);
    for (const [length, row] of [
      [9, 0],
      [23, 1],
    ] as const) {
      const x = rowOf(model, length, row);
      await expectRows(runner, input, x, (await original.run({ x })).y!, axis);
    }
    await Promise.all([runner.close(), original.close()]);
  });

  test("no-batch, as PyTorch has it", async () => {
    const folder = path.join(ROOT, "test", "models", "unbatched", "no-batch");
    const { model, batchAdded } = await convertModel(await readModel(path.join(folder, "model.onnx")));
    expect(batchAdded).toBe(true);
    const runner = await openConverted(model);
    for (const { input, output } of casesOf({ folder }))
      await expectRows(runner, input.name, input.tensor, output.tensor, 0);
    await runner.close();
  });
});

describe("refused for what it does, not for its layout", () => {
  test.each<[string, Model, string]>([
    [
      "a window on both sides",
      unbatched((b) => minus(b, turned(b, conv(b, turned(b, plus(b, "x", 0), 0, 2, 1), [1, 1]), 0, 2, 1), 0)),
      "not-causal",
    ],
    ["attention to all", unbatched((b) => attention(b, false)), "not-causal"],
    [
      "a layer that runs backwards",
      unbatched((b) => minus(b, minus(b, gru(b, plus(b, "x", 1), { direction: "reverse" }), 1), 1)),
      "not-causal",
    ],
    ["a sum from the end", unbatched((b) => b.one("CumSum", ["x", b.ints("axis", 0)], { reverse: 1 })), "not-causal"],
    [
      "the mean over time",
      unbatched((b) =>
        b.one("Sub", [b.one("Tanh", ["x"]), b.one("ReduceMean", ["x", b.ints("axes", [0])], { keepdims: 1 })]),
      ),
      "not-causal",
    ],
  ])("%s", async (_, model, code) => {
    await expect(convertModel(model)).rejects.toMatchObject({ code });
  });
});

describe("read as before", () => {
  test("rows of a batch that is called so are no features", async () => {
    const model = unbatched((b) => b.one("CumSum", ["x", b.ints("axis", 0)]), { x: ["batch", "n"] });
    await expect(convertModel(model)).rejects.toMatchObject({ code: "mixes-batch" });
  });

  test("a batch of fixed size", async () => {
    const model = unbatched((b) => b.one("CumSum", ["x", b.ints("axis", 1)]), { x: [3, "n"] });
    const { batchAdded, model: made } = await convertModel(model);
    expect(batchAdded).toBe(false);
    expect(made.graph.inputs[0]!.dims).toEqual(["batch_size", "sequence_length"]);
  });

  test("an operator of which nobody knows what it is with a batch", async () => {
    const model = unbatched((b) => b.one("CumSum", [b.one("Det", ["x"]), b.ints("axis", 0)]));
    await expect(convertModel(model)).rejects.toMatchObject({
      code: "unsupported-layout",
      reason: expect.stringMatching(/no batch axis/),
    });
  });
});
