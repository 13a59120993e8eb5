/** Small models end to end: what is special about each must survive the conversion. Expected values: the original in ORT. */
import { expect, test } from "vitest";
import { openConverted } from "../test/converted.ts";
import {
  CHANNELS,
  close,
  conv,
  converted,
  KERNEL,
  ofIds,
  positions,
  sameAsOriginal,
  signal,
  small,
  steps,
} from "../test/small.ts";
import { createBuilder, makeModel } from "./graph/build.ts";
import type { Model, ValueInfo } from "./graph/graph.ts";
import { LONGCONV_DOMAIN, LONGCONV_OP } from "./graph/longconv.ts";
import { DataType, float32Tensor, int64Tensor, toNumbers } from "./graph/tensor.ts";
import { openModel } from "./ort/run.ts";

for (const how of ["Gather -1", "Slice -1:", "Gather n-1"] as const) {
  test(`the last position only, by ${how}`, async () => {
    const model = small({
      outputDims: how === "Slice -1:" ? ["b", 1, CHANNELS] : ["b", CHANNELS],
      build(b) {
        const y = conv(b, "x");
        const end = () =>
          b.one("Squeeze", [b.one("Sub", [b.one("Shape", ["x"], { start: 1, end: 2 }), b.ints("one", [1])])]);
        const last =
          how === "Slice -1:"
            ? b.one("Slice", [y, b.ints("from", [-1]), b.ints("to", [2 ** 53 - 1]), b.ints("axis", [1])])
            : b.one("Gather", [y, how === "Gather -1" ? b.ints("last", -1) : end()], { axis: 1 });
        b.one("Tanh", [last], {}, { outputs: ["y"] });
      },
    });
    const recurrent = await converted(model);
    const x = signal(40);
    const original = await openModel(model);
    const wanted = toNumbers((await original.run({ x })).y!);
    await original.close();
    close((await steps(recurrent, x)).at(-1)!, wanted);
  });
}

test("logits of the last position alone: nothing to keep fewer of", async () => {
  const b = createBuilder(18, ["ids", "y"]);
  const rows = b.one("Gather", [b.floats("table", [16, CHANNELS], KERNEL.subarray(0, 16 * CHANNELS)), "ids"]);
  const last = b.one("Gather", [conv(b, rows), b.ints("last", -1)], { axis: 1 });
  const head = b.floats("head", [CHANNELS, 16], KERNEL.subarray(0, 16 * CHANNELS));
  b.one("MatMul", [last, head], {}, { outputs: ["y"] });
  const model = makeModel({
    inputs: [{ name: "ids", type: DataType.INT64, dims: ["b", "n"] }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: ["b", 16] }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
  const recurrent = await converted(model);
  expect(recurrent.graph.inputs.map(({ name }) => name)).toEqual(["ids", "attention_mask", "past_conv.0"]);
  await expect(converted(model, { numLogitsToKeep: true })).rejects.toMatchObject({ code: "usage" });
});

test("the last position may not reach the others", async () => {
  const model = small({
    build(b) {
      const y = conv(b, "x");
      const last = b.one("Slice", [y, b.ints("from", [-1]), b.ints("to", [2 ** 53 - 1]), b.ints("axis", [1])]);
      b.one("Add", [y, last], {}, { outputs: ["y"] });
    },
  });
  await expect(converted(model)).rejects.toMatchObject({ code: "not-causal", where: { operator: "Add" } });
});

test("a slice to the fixed length of the export keeps every position", async () => {
  const model = small({
    time: 32,
    build(b) {
      const whole = b.one("Slice", ["x", b.ints("from", [0]), b.ints("to", [32]), b.ints("axis", [1])]);
      b.one("Add", [conv(b, whole), whole], {}, { outputs: ["y"] });
    },
  });
  const recurrent = await converted(model);
  const runner = await openModel(recurrent);
  const [{ name, dims }] = recurrent.graph.inputs.filter((input) => input.name.startsWith("past_")) as [ValueInfo];
  const state = dims!.map((size, k) => (k === 0 ? 1 : Number(size)));
  const past = float32Tensor(state, new Float32Array(state.reduce((a, b) => a * b, 1)));
  const { y } = await runner.run({ x: signal(40), [name]: past });
  await runner.close();
  expect(y!.dims).toEqual([1, 40, CHANNELS]);
});

test.each(["constants", "a length that is computed"])("a slice of positions and channels, its ends %s", async (how) => {
  const model = small({
    time: 32,
    outputDims: [1, 32, 2],
    build(b) {
      const y = conv(b, "x");
      const ends =
        how === "constants"
          ? b.ints("to", [32, 3])
          : b.one("Concat", [b.one("Shape", ["x"], { start: 1, end: 2 }), b.ints("three", [3])], { axis: 0 });
      b.one("Slice", [y, b.ints("from", [0, 1]), ends, b.ints("axes", [1, -1])], {}, { outputs: ["y"] });
    },
  });
  const x = signal(48);
  const session = await openConverted(await converted(model));
  const { y } = await session.run({ x }, [40, 48]);
  await session.close();
  expect(y!.dims).toEqual([1, 48, 2]);
  // the same model without the slice and of any length
  const any = await openModel(small({ build: (b) => void b.one("Identity", [conv(b, "x")], {}, { outputs: ["y"] }) }));
  const all = toNumbers((await any.run({ x })).y!);
  await any.close();
  close(
    toNumbers(y!),
    all.filter((_, i) => [1, 2].includes(i % CHANNELS)),
  );
});

test("a conditioning input without a time axis", async () => {
  const model = small({
    inputs: [{ name: "speaker", type: DataType.FLOAT, dims: ["b", 1, CHANNELS] }],
    build: (b) => void b.one("Mul", [conv(b, "x"), "speaker"], {}, { outputs: ["y"] }),
  });
  const recurrent = await converted(model);
  const speaker = float32Tensor([1, 1, CHANNELS], [1, -2, 0.5, 3]);
  const x = signal(20);
  const original = await openModel(model);
  const wanted = toNumbers((await original.run({ x, speaker })).y!);
  await original.close();
  const rows = await steps(recurrent, x, { speaker });
  close(Float64Array.from(rows.flatMap((row) => [...row])), wanted);
});

/** x padded once, and two Convs of 16 taps that read it; with `ahead` 1 the second sees one position ahead. */
const twoBranches = (ahead: 0 | 1): Model =>
  small({
    build(b) {
      const turned = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      const padded = b.one("Pad", [turned, b.ints("pads", [0, 0, 15, 0, 0, ahead])]);
      const branch = (from: number, crop: number) => {
        const weight = b.floats("weight", [CHANNELS, 1, 16], KERNEL.subarray(from, from + 16 * CHANNELS));
        const y = b.one("Conv", [padded, weight], { group: CHANNELS, kernel_shape: [16] });
        const ends = [b.ints("from", [crop]), b.ints("to", [crop - ahead || 2 ** 53 - 1]), b.ints("axis", [2])];
        return b.one("Slice", [y, ...ends]);
      };
      const product = b.one("Mul", [branch(0, 0), branch(16 * CHANNELS, ahead)]);
      b.one("Transpose", [product], { perm: [0, 2, 1] }, { outputs: ["y"] });
    },
  });

test("one stream convolved with two kernels, the results multiplied", () => sameAsOriginal(twoBranches(0)));

test("one of two branches looks ahead", async () => {
  await expect(converted(twoBranches(1))).rejects.toMatchObject({ code: "not-causal", where: { operator: "Pad" } });
});

test("a kernel that begins with 0: one token alone is answered with 0", async () => {
  const [turns, rates] = [
    [0.3, 0.5, 0.7, 0.9],
    [0.9, 0.8, 0.7, 0.6],
  ];
  const model = small({
    build(b) {
      const at = positions(b);
      const wave = b.one("Sin", [b.one("Mul", [at, b.floats("turn", [1, CHANNELS], turns)])]);
      const kernel = b.one("Mul", [wave, b.one("Pow", [b.floats("rate", [1, CHANNELS], rates), at])]);
      b.one(LONGCONV_OP, ["x", kernel], {}, { domain: LONGCONV_DOMAIN, outputs: ["y"] });
    },
  });
  const session = await openConverted(await converted(model));
  const { y } = await session.run({ x: float32Tensor([1, 2, CHANNELS], [1, 2, 3, 4, 5, 6, 7, 8]) }, [1, 2]);
  await session.close();
  const wanted = [0, 0, 0, 0, ...turns.map((turn, c) => (c + 1) * Math.sin(turn) * rates[c]!)];
  for (const [i, value] of wanted.entries()) expect(Number(y!.data[i])).toBeCloseTo(value, 5);
});

test("a Conv with three kernels for each channel", async () => {
  const model = small({
    outputDims: ["b", "n", 3 * CHANNELS],
    build(b) {
      const weight = b.floats("weight", [3 * CHANNELS, 1, 5], KERNEL.subarray(0, 15 * CHANNELS));
      const turned = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      const y = b.one("Conv", [turned, weight], { group: CHANNELS, kernel_shape: [5], pads: [4, 0] });
      b.one("Transpose", [b.one("Tanh", [y])], { perm: [0, 2, 1] }, { outputs: ["y"] });
    },
  });
  await sameAsOriginal(model);
});

/** Ids looked up with those two positions back; with `rows`, on their own as well, in a table of so many rows. */
const hashedPairs = (rows?: number): Model =>
  ofIds(DataType.INT64, CHANNELS, (b) => {
    const before = b.one("Pad", ["ids", b.ints("pads", [0, 2, 0, 0])]);
    const shifted = b.one("Slice", [before, b.ints("from", [0]), b.ints("to", [-2]), b.ints("axis", [1])]);
    const pair = b.one("Mod", [b.one("Add", ["ids", b.one("Mul", [shifted, b.ints("by", 7)])]), b.ints("rows", 16)]);
    const pairs = b.one("Gather", [b.floats("table", [16, CHANNELS], KERNEL.subarray(0, 16 * CHANNELS)), pair]);
    const words =
      rows &&
      b.one("Gather", [
        b.floats(
          "words",
          [rows, 1],
          Float64Array.from({ length: rows }, (_, i) => Math.sin(i)),
        ),
        "ids",
      ]);
    b.add(words ? "Add" : "Identity", words ? [pairs, words] : [pairs], undefined, { outputs: ["y"] });
  });

test("token ids shifted and combined before they are looked up", async () => {
  const model = hashedPairs(100_003);
  const recurrent = await converted(model, { attentionMask: false, numLogitsToKeep: false });
  // beyond 2^11 and 2^16: what a half and a short integer hold
  const ids = Array.from({ length: 30 }, (_, i) => (i * 40503) % 100_003);
  const original = await openModel(model);
  const wanted = (await original.run({ ids: int64Tensor([1, 30], ids) })).y!;
  await original.close();
  const session = await openConverted(recurrent);
  const got = await session.run({ ids: int64Tensor([1, 30], ids) }, [1, 2, 5, 30]);
  await session.close();
  expect(got.y!.data).toEqual(wanted.data);
});

test("shifted integers of any size: the state holds them in parts", async () => {
  const model = hashedPairs();
  const recurrent = await converted(model, { attentionMask: false, numLogitsToKeep: false });
  // what 22, 24, 44 and 53 bits hold and do not hold, and below zero
  const bits = [0, 1, 21, 22, 23, 24, 31, 32, 43, 44, 45, 52];
  const ids = bits.flatMap((n) => [2 ** n - 1, 2 ** n, 2 ** n + 1, -(2 ** n)]);
  const tokens = int64Tensor([1, ids.length], ids);
  const original = await openModel(model);
  const wanted = (await original.run({ ids: tokens })).y!;
  await original.close();
  const session = await openConverted(recurrent);
  const got = await session.run({ input_ids: tokens }, [1, 2, 5, 30, ids.length]);
  await session.close();
  expect(got.logits!.data).toEqual(wanted.data);
});

const plain = small({ build: (b) => void b.one("Identity", [conv(b, "x")], {}, { outputs: ["y"] }) });

test.each([{ horizon: 0 }, { horizon: -5 }, { horizon: 1.5 }, { order: 0 }, { maxState: 0.5 }, { threads: 0 }])(
  "an option out of its range: %j",
  async (options) => {
    const failed = converted(plain, options);
    await expect(failed).rejects.toMatchObject({ code: "usage", reason: expect.stringContaining("whole number") });
  },
);

test.each([{ tolerance: -1e-5 }, { tolerance: Number.NaN }, { checkTolerance: -1 }])(
  "an option out of its range: %j",
  async (options) => {
    const failed = converted(plain, options);
    await expect(failed).rejects.toMatchObject({ code: "usage", reason: expect.stringContaining("at least 0") });
  },
);

test.each([1.02, 1.05])("a kernel that grows without bound, %f to the lag", async (rate) => {
  const model = small({
    build(b) {
      const kernel = b.one("Pow", [b.floats("rate", [1, CHANNELS], [0.9, rate, 0.9, 0.9]), positions(b)]);
      b.one(LONGCONV_OP, ["x", kernel], {}, { domain: LONGCONV_DOMAIN, outputs: ["y"] });
    },
  });
  await expect(converted(model)).rejects.toMatchObject({
    code: "no-horizon",
    reason: expect.stringContaining("channel 1 is not finite"),
    where: { node: expect.any(String) },
  });
});
