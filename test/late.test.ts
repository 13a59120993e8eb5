/** What sets in late: models that are one thing at the lengths probed and another beyond. Expected: the original in ORT. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { analyse } from "../converter/analyse.ts";
import { difference } from "../converter/compare/differences.ts";
import { drive } from "../converter/compare/drive.ts";
import type { Conversion, ConvertOptions } from "../converter/conversion.ts";
import { convertModel } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import { writeModel } from "../converter/file/write.ts";
import { type Builder, createBuilder, makeModel } from "../converter/graph/build.ts";
import type { Model } from "../converter/graph/graph.ts";
import { LONGCONV_DOMAIN, LONGCONV_OP } from "../converter/graph/longconv.ts";
import { DataType, float32Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { normal } from "../src/random.ts";
import { preciseTransforms } from "./precise.ts";

const CHANNELS = 2;

const folder = mkdtempSync(path.join(tmpdir(), "longconv-"));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

/** A model x [batch, n, channels] → y. */
async function modelOf(
  build: (b: Builder) => void,
  { batch = "b", time = "n", opset = 18 }: { batch?: number | string; time?: number | string; opset?: number } = {},
) {
  const b = createBuilder(opset, ["x", "y"]);
  build(b);
  const dims = [batch, time, CHANNELS];
  const model = makeModel({
    inputs: [{ name: "x", type: DataType.FLOAT, dims }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: new Map([
      ["", opset],
      [LONGCONV_DOMAIN, 1],
    ]),
  });
  const file = path.join(folder, `${count++}.onnx`);
  await writeModel(model, file);
  return readModel(file);
}

const toFloat = { to: DataType.FLOAT };
const toInteger = { to: DataType.INT64 };

/** [n] */
function positions(b: Builder): string {
  const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
  return b.one("Cast", [b.one("Range", [b.ints("from", 0), length, b.ints("by", 1)])], toFloat);
}

/** decay_c^lag as a matrix [n, n, channels], with zeros where `allowed` says so. */
function toeplitz(b: Builder, decay: readonly number[], allowed: (b: Builder, row: string, column: string) => string) {
  const at = positions(b);
  const row = b.one("Unsqueeze", [at, b.ints("one", [1])]);
  const column = b.one("Unsqueeze", [at, b.ints("zero", [0])]);
  const lag = b.one("Unsqueeze", [
    b.one("Max", [b.one("Sub", [row, column]), b.floats("least", [], [0])]),
    b.ints("two", [2]),
  ]);
  const taps = b.one("Pow", [b.floats("decay", [CHANNELS], decay), lag]);
  const causal = b.one("GreaterOrEqual", [row, column]);
  const mask = b.one("Cast", [b.one("And", [causal, allowed(b, row, column)])], toFloat);
  const matrix = b.one("Mul", [taps, b.one("Unsqueeze", [mask, b.ints("two", [2])])]);
  return b.one("Einsum", [matrix, "x"], { equation: "ijc,bjc->bic" });
}

const SLOW = [0.999, 0.9995];
const always = (b: Builder, row: string) => b.one("GreaterOrEqual", [row, b.floats("least", [], [0])]);
const named = (b: Builder, y: string) => void b.one("Identity", [y], {}, { outputs: ["y"] });

/** The largest difference, relative, of original and converted model over a length in pieces. */
async function apart(model: Model, { model: converted }: Conversion, time: number): Promise<number> {
  const { graphs } = await analyse(model);
  const next = normal(7);
  const feeds = { x: float32Tensor([1, time, CHANNELS], Float32Array.from({ length: time * CHANNELS }, next)) };
  const [whole, pieces] = [await openModel(preciseTransforms(model)), await openModel(converted)];
  try {
    const y = toNumbers((await whole.run(feeds)).y!);
    const rows = Array.from({ length: time }, (_, i) => y.subarray(i * CHANNELS, (i + 1) * CHANNELS));
    const layout = new Map([["y", [["batch"], ["time"], [CHANNELS]] as const]]);
    const got = await drive(converted, pieces, graphs, layout, feeds, [Math.floor(time / 3), time], 1);
    return difference(new Map([["y", rows]]), got).relative;
  } finally {
    await Promise.all([whole.close(), pieces.close()]);
  }
}

test.each([100, 200, 700])("a kernel cut by a mask at lag %i ends there", async (band) => {
  const within = (b: Builder, row: string, column: string) =>
    b.one("Less", [b.one("Sub", [row, column]), b.floats("band", [], [band])]);
  const model = await modelOf((b) => named(b, toeplitz(b, SLOW, within)));
  const conversion = await convertModel(model, {});
  expect(conversion.layers).toMatchObject([{ form: "window", lags: band }]);
  expect(await apart(model, conversion, 1000)).toBeLessThan(1e-5);
});

/** Damped waves of few poles that end at a lag, which no rule says. */
const ending = (lag: number) => (b: Builder) => {
  const at = b.one("Unsqueeze", [positions(b), b.ints("one", [1])]);
  const waves = b.one("Cos", [b.one("Mul", [at, b.floats("rate", [1, CHANNELS], [0.25, 0.5])])]);
  const damped = b.one("Mul", [waves, b.one("Exp", [b.one("Mul", [at, b.floats("decay", [], [-1e-3])])])]);
  const left = b.one("Sub", [b.floats("end", [], [lag]), at]);
  const shown = b.one("Clip", [left, b.floats("least", [], [0]), b.floats("most", [], [1])]);
  b.add(LONGCONV_OP, ["x", b.one("Mul", [damped, shown])], {}, { domain: LONGCONV_DOMAIN, outputs: ["y"] });
};

// beyond half of the lags that are looked at, where it might have been cut by the looking
test.each([2500, 3800])("waves that end at lag %i are not followed by poles that go on", async (lag) => {
  const model = await modelOf(ending(lag));
  const conversion = await convertModel(model);
  expect(conversion.layers).toMatchObject([
    { form: "window", lags: lag, because: expect.stringMatching(/go on where it has ended/) },
  ]);
  expect(conversion.claim.kind).not.toBe("ends");
  expect(await apart(model, conversion, 5000)).toBeLessThan(1e-5);
});

test("poles that were asked for are followed as far as the kernel goes", async () => {
  const model = await modelOf(ending(2500));
  const { claim, layers } = await convertModel(model, { order: 4 });
  expect(layers).toMatchObject([{ form: "compact", order: 4 }]);
  expect(claim).toMatchObject({
    kind: "ends",
    positions: 2500,
    because: expect.stringMatching(/go on where it has ended/),
  });
});

test.each([100, 200, 700])("blocks of %i positions that do not see one another: refused", async (size) => {
  const block = (b: Builder, at: string) => b.one("Floor", [b.one("Div", [at, b.floats("size", [], [size])])]);
  const same = (b: Builder, row: string, column: string) => b.one("Equal", [block(b, row), block(b, column)]);
  const model = await modelOf((b) => named(b, toeplitz(b, SLOW, same)));
  await expect(convertModel(model)).rejects.toMatchObject({
    code: "not-time-invariant",
    where: { operator: "Einsum" },
  });
});

test("a factor that changes at position 200 is no part of the convolution", async () => {
  const model = await modelOf((b) => {
    const early = b.one("Less", [positions(b), b.floats("bound", [], [200])]);
    const factor = b.one("Where", [early, b.floats("whole", [], [1]), b.floats("half", [], [0.5])]);
    named(b, b.one("Mul", [toeplitz(b, [0.9, 0.97], always), b.one("Unsqueeze", [factor, b.ints("one", [1])])]));
  });
  expect(await apart(model, await convertModel(model), 600)).toBeLessThan(1e-5);
});

test("a number that depends on the length alone may not be added: refused, however small", async () => {
  const model = await modelOf((b) => {
    const length = b.one("Cast", [b.one("Shape", ["x"], { start: 1, end: 2 })], toFloat);
    const bias = b.one("Mul", [length, b.floats("small", [], [5e-7])]);
    named(b, b.one("Add", [toeplitz(b, [0.9, 0.97], always), bias]));
  });
  await expect(convertModel(model)).rejects.toMatchObject({ code: "depends-on-length" });
});

/** A kernel that is looked up by position in a table of so many rows. */
const lookedUp = (rows: number, decay: number) => (b: Builder) => {
  const table = b.floats(
    "table",
    [rows, CHANNELS],
    Float32Array.from({ length: rows * CHANNELS }, (_, i) => decay ** Math.floor(i / CHANNELS)),
  );
  const at = positions(b);
  const row = b.one("Unsqueeze", [at, b.ints("one", [1])]);
  const column = b.one("Unsqueeze", [at, b.ints("zero", [0])]);
  const lag = b.one("Sub", [row, column]);
  const taps = b.one("Gather", [table, b.one("Cast", [b.one("Max", [lag, b.floats("least", [], [0])])], toInteger)]);
  const causal = b.one("Cast", [b.one("GreaterOrEqual", [row, column])], toFloat);
  const matrix = b.one("Mul", [taps, b.one("Unsqueeze", [causal, b.ints("two", [2])])]);
  named(b, b.one("Einsum", [matrix, "x"], { equation: "ijc,bjc->bic" }));
};

test("a table ends where its rows do: as many lags as there are", async () => {
  const model = await modelOf(lookedUp(700, 0.999));
  const conversion = await convertModel(model, { exact: true });
  expect(conversion.layers).toMatchObject([{ lags: 700 }]);
  expect(await apart(model, conversion, 700)).toBeLessThan(1e-5);
  await expect(convertModel(model, { horizon: 701 })).rejects.toMatchObject({
    code: "no-horizon",
    reason: expect.stringContaining("700"),
  });
});

/** y = irfft(rfft(x, 512) · rfft(k, 512))[:n]: circular beyond 256 positions, and no more than 512 rows. */
function fixedTransform(b: Builder) {
  const [axis, size] = [b.ints("axis", 1), b.ints("size", 512)];
  const taps = b.floats(
    "taps",
    [1, 512, CHANNELS, 1],
    Float32Array.from({ length: 512 * CHANNELS }, (_, i) =>
      i < 256 * CHANNELS ? 0.95 ** Math.floor(i / CHANNELS) : 0,
    ),
  );
  const spectrum = (x: string) => b.one("DFT", [x, size, axis], { onesided: 0 });
  const part = (z: string, k: number) => b.one("Gather", [z, b.ints("part", k)], { axis: 3 });
  const [x, k] = [spectrum(b.one("Unsqueeze", ["x", b.ints("last", [3])])), spectrum(taps)];
  const product = (i: number, j: number) => b.one("Mul", [part(x, i), part(k, j)]);
  const real = b.one("Unsqueeze", [b.one("Sub", [product(0, 0), product(1, 1)]), b.ints("last", [3])]);
  const imaginary = b.one("Unsqueeze", [b.one("Add", [product(0, 1), product(1, 0)]), b.ints("last", [3])]);
  const back = b.one("DFT", [b.one("Concat", [real, imaginary], { axis: 3 }), size, axis], { inverse: 1 });
  const length = b.one("Shape", ["x"], { start: 1, end: 2 });
  named(b, b.one("Slice", [part(back, 0), b.ints("from", [0]), length, b.ints("time", [1])]));
}

test("a transform of a fixed size: right up to half of it, refused beyond", async () => {
  const model = await modelOf(fixedTransform, { opset: 20 });
  await expect(convertModel(model)).rejects.toMatchObject({
    code: "not-time-invariant",
    where: { operator: "DFT" },
    remedy: expect.stringContaining("horizon"),
  });
  const conversion = await convertModel(model, { horizon: 256 });
  expect(conversion.layers).toMatchObject([{ verified: 256 }]);
  expect(await apart(model, conversion, 256)).toBeLessThan(1e-5);
});

test("a kernel that grows without bound: refused at its node", async () => {
  const growing = await modelOf((b) => named(b, toeplitz(b, [1.05, 0.9], always)));
  await expect(convertModel(growing)).rejects.toMatchObject({ where: { operator: "Einsum" } });
});

test.each<[string, ConvertOptions, number]>([
  ["kernels of a dozen lags", {}, 512],
  ["a horizon of 8 lags", { horizon: 8, exact: true }, 8],
  ["a horizon of one lag", { horizon: 1 }, 1],
])("%s: compared all the same", async (_, options, longest) => {
  const model = await modelOf((b) => named(b, toeplitz(b, [0.3, 0.2], always)));
  const { check } = await convertModel(model, options);
  expect(Math.max(...check.comparisons.map(({ length }) => length))).toBe(longest);
});

test("a fixed length beyond the horizon: compared up to the horizon", async () => {
  const model = await modelOf((b) => named(b, toeplitz(b, SLOW, always)), { batch: 1, time: 64 });
  for (const exact of [true, false]) {
    const { check, layers } = await convertModel(model, { exact, horizon: 32 });
    expect(layers).toMatchObject([{ lags: 32 }]);
    expect(check.comparisons.length).toBeGreaterThan(0);
  }
});

test("a fixed batch size and any length", async () => {
  const model = await modelOf((b) => named(b, toeplitz(b, [0.9, 0.97], always)), { batch: 2 });
  expect((await convertModel(model)).layers).toMatchObject([{ form: "compact" }]);
});

test("one exported position shows one lag: refused", async () => {
  const model = await modelOf((b) => named(b, toeplitz(b, SLOW, always)), { batch: 1, time: 1 });
  await expect(convertModel(model)).rejects.toMatchObject({ code: "no-horizon" });
});

test("a state too small to follow its kernel: the check says that, and allows no more than a tenth", async () => {
  const model = await modelOf((b) => named(b, toeplitz(b, [-0.99, 0.9], always)));
  await expect(convertModel(model, { order: 1 })).rejects.toMatchObject({
    code: "check-failed",
    remedy: expect.stringContaining("larger ones"),
  });
});

test("an original whose outputs are NaN cannot be compared with", async () => {
  const model = await modelOf((b) => {
    const y = toeplitz(b, [0.9, 0.97], always);
    named(b, b.one("Mul", [b.one("Tanh", [y]), b.floats("weight", [CHANNELS], [Number.NaN, 1])]));
  });
  await expect(convertModel(model)).rejects.toMatchObject({
    code: "check-failed",
    reason: expect.stringContaining("NaN"),
  });
});

test.each([
  [
    [1, 2, 3],
    [Number.NaN, 2, 3],
  ],
  [
    [1, 2, 3],
    [50, Number.NaN, 3],
  ],
  [
    [1, 2, 3],
    [1, 2],
  ],
])("a NaN or a missing number is no agreement: %j and %j", (a, b) => {
  const traced = (row: number[]) => new Map([["y", [Float64Array.from(row)]]]);
  expect(difference(traced(a), traced(b)).relative).toBeNaN();
});

test("equal infinities agree, as masked logits do, and do not hide a difference", () => {
  const traced = (row: number[]) => new Map([["y", [Float64Array.from(row)]]]);
  expect(difference(traced([-Infinity, 2]), traced([-Infinity, 2])).relative).toBe(0);
  expect(difference(traced([-Infinity, 2]), traced([-Infinity, 1])).relative).toBe(0.5);
});
