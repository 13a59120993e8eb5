/** Functions of the absolute position, from a carried counter. Expected values: the original in ORT, or arithmetic. */
import { describe, expect, test } from "vitest";
import { METADATA } from "../../src/contract.ts";
import type { ErrorCode } from "../../src/errors.ts";
import { openConverted } from "../../test/converted.ts";
import {
  CHANNELS,
  close,
  conv,
  conversion,
  converted,
  KERNEL,
  positions,
  type Small,
  sameAsOriginal,
  signal,
  small,
  steps,
} from "../../test/small.ts";
import { encodeModel } from "../file/encode.ts";
import type { Builder } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { LONGCONV_DOMAIN, LONGCONV_OP } from "../graph/longconv.ts";
import { DataType, float32Tensor, int64Tensor, toNumbers } from "../graph/tensor.ts";
import { inspect } from "../inspect.ts";
import { openModel } from "../ort/run.ts";

test("positions without a convolution: a counter alone", async () => {
  const model = small({
    build(b) {
      const table = b.floats("table", [50, CHANNELS], KERNEL.subarray(0, 50 * CHANNELS));
      const length = b.one("Shape", ["x"], { start: 1, end: 2 });
      const rows = b.one("Slice", [table, b.ints("from", [0]), length, b.ints("axis", [0])]);
      b.one("Add", ["x", rows], {}, { outputs: ["y"] });
    },
  });
  const recurrent = await converted(model);
  const x = signal(20);
  const original = await openModel(model);
  const wanted = toNumbers((await original.run({ x })).y!);
  await original.close();
  close(Float64Array.from((await steps(recurrent, x)).flatMap((row) => [...row])), wanted);
});

test("two functions of the position at one node", async () => {
  const sines: Small = {
    build: (b) =>
      void b.one("Sum", [b.one("Sin", [positions(b)]), "x", b.one("Cos", [positions(b)])], {}, { outputs: ["y"] }),
  };
  await sameAsOriginal(small(sines));
  const chosen: Small = {
    build(b) {
      const even = b.one("Greater", [b.one("Cos", [positions(b)]), b.floats("zero", [], [0])]);
      b.one("Where", [even, "x", b.one("Sin", [positions(b)])], {}, { outputs: ["y"] });
    },
  };
  await sameAsOriginal(small(chosen));
});

test("a function of the position widened to the channels", () =>
  sameAsOriginal(
    small({
      build(b) {
        const length = b.one("Shape", ["x"], { start: 1, end: 2 });
        const shape = b.one("Concat", [length, b.ints("channels", [CHANNELS])], { axis: 0 });
        const wide = b.one("Expand", [b.one("Sin", [positions(b)]), shape]);
        const weights = b.floats("weights", [CHANNELS, CHANNELS], KERNEL.subarray(0, CHANNELS * CHANNELS));
        b.one("Add", ["x", b.one("MatMul", [wide, weights])], {}, { outputs: ["y"] });
      },
    }),
  ));

/** A size of x as a float. */
const sizeOf = (b: Builder, axis: number) =>
  b.one("Cast", [b.one("Squeeze", [b.one("Shape", ["x"], { start: axis, end: axis + 1 })])], { to: DataType.FLOAT });

test("sizes of channels are constants: x / x.shape[2], and positions times it", async () => {
  const model = small({
    build(b) {
      const mean = b.one("Div", [b.one("CumSum", ["x", b.ints("time", 1)]), sizeOf(b, 2)]);
      b.one("Add", [mean, b.one("Sin", [b.one("Mul", [positions(b), sizeOf(b, 2)])])], {}, { outputs: ["y"] });
    },
  });
  await sameAsOriginal(model);
  expect((await conversion(model)).claim).toEqual({ kind: "proven" });
});

test.each([
  ["the length", 1],
  ["the batch", 0],
])("x / %s is refused", async (_, axis) => {
  const build = (b: Builder) =>
    void b.one("Div", [b.one("CumSum", ["x", b.ints("time", 1)]), sizeOf(b, axis)], {}, { outputs: ["y"] });
  await expect(converted(small({ build }))).rejects.toThrow("[depends-on-length]");
});

// positions.expand(b, -1, CHANNELS) by TorchScript's exporter: where the size is -1, 1
test("a function of the position expanded to sizes some of which are -1", async () => {
  const model = small({
    build(b) {
      const batch = b.one("Shape", ["x"], { start: 0, end: 1 });
      const sizes = b.one("Reshape", [
        b.one("Concat", [batch, b.ints("as_it_is", [-1]), b.ints("channels", [CHANNELS])], { axis: 0 }),
        b.ints("flat", [-1]),
      ]);
      const ones = b.one("ConstantOfShape", [b.one("Shape", [sizes])], { value: { tensor: int64Tensor([1], [1]) } });
      const open = b.one("Equal", [sizes, b.one("Mul", [ones, b.ints("minus", -1)])]);
      const column = b.one("Unsqueeze", [b.one("Sin", [positions(b)]), b.ints("first", [0])]);
      const wide = b.one("Expand", [column, b.one("Where", [open, ones, sizes])]);
      b.one("Add", ["x", wide], {}, { outputs: ["y"] });
    },
  });
  await sameAsOriginal(model);
  expect((await conversion(model)).claim).toEqual({ kind: "proven" });
});

const length = (b: Builder): string => b.one("Shape", ["x"], { start: 1, end: 2 });

/** y = x / Range(first, limit, step), computed in a type. */
const divided = (
  first: number,
  step: number,
  limit: (b: Builder, n: string) => string,
  type: number = DataType.FLOAT,
) =>
  small({
    build(b) {
      const as = (tensor: string) => b.one("Cast", [tensor], { to: type });
      const to = as(limit(b, b.one("Squeeze", [length(b)])));
      const range = b.one("Range", [as(b.ints("first", first)), to, as(b.ints("step", step))]);
      const column = b.one("Cast", [b.one("Reshape", [range, b.ints("column", [1, -1, 1])])], { to: DataType.FLOAT });
      b.one("Div", ["x", column], {}, { outputs: ["y"] });
    },
  });
/** a (n + 1) + b */
const multiple =
  (a: number, c: number) =>
  (b: Builder, n: string): string =>
    b.one("Add", [b.one("Mul", [b.ints("a", a), b.one("Add", [n, b.ints("one", 1)])]), b.ints("c", c)]);

// arange(C, C * (T + 1), C), the count of Conv-TasNet's cumulative layer norm; float32 holds multiples of 512
test.each([
  ["of 512 channels", divided(512, 512, multiple(512, 0))],
  ["whose last step is not whole", divided(7, 3, multiple(3, 2))],
  ["of int32, downwards", divided(-1, -2, multiple(-2, 1), DataType.INT32)],
])("a count in steps: %s", async (_, model) => {
  await sameAsOriginal(model);
  expect((await conversion(model)).claim).toEqual({ kind: "proven" });
});

test("a count in steps that has more rows than positions, or begins with the length, is refused", async () => {
  const more = divided(3, 3, multiple(3, 1));
  const original = await openModel(more);
  await expect(original.run({ x: signal(8) })).rejects.toThrow();
  await original.close();
  await expect(converted(more)).rejects.toThrow();
  const down = small({
    build(b) {
      const n = b.one("Squeeze", [length(b)]);
      const range = b.one("Range", [b.one("Mul", [n, b.ints("two", 2)]), b.ints("end", 0), b.ints("by", -2)]);
      const column = b.one("Cast", [b.one("Reshape", [range, b.ints("column", [1, -1, 1])])], { to: DataType.FLOAT });
      b.one("Div", ["x", column], {}, { outputs: ["y"] });
    },
  });
  await expect(converted(down)).rejects.toThrow("depends on the sequence length");
});

describe("beyond 4 096 positions", () => {
  /** All ones, so that outputs are known by arithmetic. */
  const ones = (time: number) => float32Tensor([1, time, CHANNELS], new Float32Array(time * CHANNELS).fill(1));

  /** Ones by the axes of the mean. */
  const onesOf: Readonly<Record<string, (b: Builder) => string>> = {
    "[n, 1]": (b) =>
      b.one("ConstantOfShape", [b.one("Concat", [length(b), b.ints("one", [1])], { axis: 0 })], {
        value: { tensor: float32Tensor([1], [1]) },
      }),
    "[batch, n, channels]": (b) => b.one("Expand", [b.floats("one", [1], [1]), b.one("Shape", ["x"])]),
  };

  test.each(Object.keys(onesOf))("a mean over the past, divided by a running sum of ones %s", async (axes) => {
    const model = small({
      build(b) {
        const row = onesOf[axes]!(b);
        const count = b.one("CumSum", [row, b.ints("axis", axes === "[n, 1]" ? 0 : 1)]);
        const before = b.one("CumSum", [row, b.ints("axis", axes === "[n, 1]" ? 0 : 1)], { exclusive: 1 });
        const sum = b.one("CumSum", ["x", b.ints("time", 1)]);
        b.one("Div", [b.one("Add", [sum, before]), count], {}, { outputs: ["y"] });
      },
    });
    await sameAsOriginal(model);
    const { model: recurrent, positions: limit } = await conversion(model, { stepFile: true });
    expect(limit).toBeUndefined();
    const session = await openConverted(recurrent);
    const { y } = await session.run({ x: ones(6000) }, [4000, 6000]);
    await session.close();
    // (t + t - 1) / t
    close(
      toNumbers(y!),
      Float64Array.from({ length: 6000 * CHANNELS }, (_, i) => 2 - 1 / (1 + Math.floor(i / CHANNELS))),
    );
  });

  test("a convolution of ones that settles after 13 000", async () => {
    const model = small({
      build(b) {
        const decay = b.floats("decay", [1, CHANNELS], [0.999, 0.99, 0.9, 0.998]);
        const kernel = b.one("Pow", [decay, positions(b)]);
        const shape = b.one("Concat", [b.ints("one", [1]), length(b), b.ints("channels", [CHANNELS])], { axis: 0 });
        const row = b.one("ConstantOfShape", [shape], { value: { tensor: float32Tensor([1], [1]) } });
        const y = b.one(LONGCONV_OP, ["x", kernel], {}, { domain: LONGCONV_DOMAIN });
        const sum = b.one(LONGCONV_OP, [row, kernel], {}, { domain: LONGCONV_DOMAIN });
        b.one("Div", [y, sum], {}, { outputs: ["y"] });
      },
    });
    const { model: recurrent, positions: limit } = await conversion(model);
    expect(limit).toBeUndefined();
    const session = await openConverted(recurrent);
    const { y } = await session.run({ x: ones(20_000) }, [20_000]);
    await session.close();
    close(toNumbers(y!).subarray(-CHANNELS), new Float64Array(CHANNELS).fill(1));
  });
});

describe("a table that ends is never a surprise", () => {
  const tables: readonly [name: string, rows: number, (b: Builder) => string][] = [
    [
      "sliced",
      50,
      (b) => {
        const table = b.floats("table", [50, CHANNELS], KERNEL.subarray(0, 50 * CHANNELS));
        return b.one("Slice", [table, b.ints("from", [0]), length(b), b.ints("axis", [0])]);
      },
    ],
    [
      "picked two rows on",
      48,
      (b) => {
        const table = b.floats("table", [50, CHANNELS], KERNEL.subarray(0, 50 * CHANNELS));
        const range = b.one("Range", [b.ints("zero", 0), b.one("Squeeze", [length(b)]), b.ints("one", 1)]);
        return b.one("Gather", [table, b.one("Add", [range, b.ints("two", 2)])]);
      },
    ],
    [
      "computed, and never settled",
      4096,
      (b) => {
        const row = b.one("Expand", [b.floats("one", [1], [1]), b.one("Concat", [length(b), length(b)], { axis: 0 })]);
        const sum = b.one("ReduceSum", [b.one("Trilu", [row], { upper: 0 }), b.ints("last", [1])]);
        return b.one("Div", [sum, b.floats("many", [], [1000])]);
      },
    ],
  ];
  test.each(tables)("%s", async (_, rows, table) => {
    const model = small({ build: (b) => void b.one("Add", ["x", table(b)], {}, { outputs: ["y"] }) });
    await sameAsOriginal(model);
    const { model: recurrent, positions: limit, layers } = await conversion(model);
    expect(limit?.positions).toBe(rows);
    expect(recurrent.metadata.get(METADATA.positions)).toBe(String(rows));
    expect(layers).toMatchObject([{ form: "counter", state: "ssm", index: 0, order: 1, channels: 1 }]);
    expect(layers[0]!.because).toContain(`at most ${rows} positions`);
    expect(JSON.parse(recurrent.metadata.get(METADATA.layers)!)).toHaveLength(1);
  });
});

test("a function of the position joined to the channels", () =>
  sameAsOriginal(
    small({
      outputDims: ["b", "n", CHANNELS + 1],
      build(b) {
        const size = b.one("Shape", ["x"], { start: 0, end: 2 });
        const shape = b.one("Concat", [size, b.ints("one", [1])], { axis: 0 });
        const column = b.one("Expand", [b.one("Sin", [positions(b)]), shape]);
        b.one("Concat", [column, conv(b, "x")], { axis: 2 }, { outputs: ["y"] });
      },
    }),
  ));

describe("inspect and convert say the same", () => {
  const inspected = (model: Model) => inspect(encodeModel(model));

  test("a counter alone is worth converting", async () => {
    const table = (b: Builder) =>
      b.one("Slice", [
        b.floats("table", [50, CHANNELS], KERNEL.subarray(0, 50 * CHANNELS)),
        b.ints("from", [0]),
        length(b),
      ]);
    const model = small({ build: (b) => void b.one("Add", ["x", table(b)], {}, { outputs: ["y"] }) });
    const { convertible, counter, refusals } = await inspected(model);
    expect({ convertible, refusals }).toEqual({ convertible: true, refusals: [] });
    expect(counter).toMatchObject({ nodes: [expect.any(String)], limit: { positions: 50 } });
  });

  const numbers = (name: string, type: number) => [{ name, type, dims: ["n"] }];
  const refused: readonly [name: string, code: ErrorCode, op: string, Small][] = [
    [
      "a matrix for each position",
      "absolute-position",
      "MatMul",
      {
        build(b) {
          const shape = b.one("Concat", [length(b), b.ints("size", [CHANNELS, CHANNELS])], { axis: 0 });
          const matrix = b.one("Expand", [b.one("Unsqueeze", [positions(b), b.ints("last", [2])]), shape]);
          const rows = b.one("Unsqueeze", [conv(b, "x"), b.ints("axis", [2])]);
          b.one("Squeeze", [b.one("MatMul", [rows, matrix]), b.ints("axis", [2])], {}, { outputs: ["y"] });
        },
      },
    ],
    [
      "an output of the position",
      "absolute-position",
      "Sin",
      {
        outputs: numbers("where", DataType.FLOAT),
        build(b) {
          b.one("Identity", [conv(b, "x")], {}, { outputs: ["y"] });
          b.one("Sin", [b.one("Squeeze", [positions(b), b.ints("axis", [1])])], {}, { outputs: ["where"] });
        },
      },
    ],
    [
      "an output of the length",
      "depends-on-length",
      "Shape",
      {
        outputs: [{ name: "size", type: DataType.INT64, dims: [1] }],
        build(b) {
          b.one("Identity", [conv(b, "x")], {}, { outputs: ["y"] });
          b.one("Shape", ["x"], { start: 1, end: 2 }, { outputs: ["size"] });
        },
      },
    ],
  ];
  test.each(refused)("refused before anything is solved: %s", async (_, code, operator, parts) => {
    const model = small(parts);
    const steps: string[] = [];
    const failed = conversion(model, { onProgress: ({ step }) => void steps.push(step) });
    await expect(failed).rejects.toMatchObject({ code, where: { operator } });
    expect(steps).not.toContain("solve");
    const { convertible, refusals } = await inspected(model);
    expect({ convertible, refusals }).toMatchObject({ convertible: false, refusals: [{ code, operator }] });
  });
});
