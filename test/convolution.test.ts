/** One LongConv node with a random kernel, converted: the convolution in float64, however the sequence is cut. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { writeModel } from "../converter/file/write.ts";
import { createBuilder, makeModel } from "../converter/graph/build.ts";
import { LONGCONV_DOMAIN, LONGCONV_OP } from "../converter/graph/longconv.ts";
import { float32Tensor } from "../converter/graph/tensor.ts";
import { openConverted, tokenByToken } from "./converted.ts";
import { type Random, random } from "./fuzz/random.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "longconv-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Taps [lags, channels] by kind. */
const KINDS: Readonly<Record<string, (r: Random, lags: number, channels: number) => Float32Array>> = {
  decaying: (r, lags, channels) => {
    const rates = Array.from({ length: channels }, () => 0.02 + 0.5 * r.next());
    return Float32Array.from({ length: lags * channels }, (_, i) =>
      Math.exp(-Math.floor(i / channels) * rates[i % channels]!),
    );
  },
  oscillating: (r, lags, channels) => {
    const waves = Array.from({ length: channels }, () => [0.05 * r.next(), Math.PI * r.next(), 6 * r.next()] as const);
    return Float32Array.from({ length: lags * channels }, (_, i) => {
      const [rate, frequency, phase] = waves[i % channels]!;
      const k = Math.floor(i / channels);
      return Math.exp(-rate * k) * Math.cos(frequency * k + phase);
    });
  },
  finite: (r, lags, channels) => {
    const end = r.int(1, lags);
    return Float32Array.from({ length: lags * channels }, (_, i) => (i < end * channels ? r.normal() : 0));
  },
  noise: (r, lags, channels) => Float32Array.from({ length: lags * channels }, () => r.normal()),
  zero: (_r, lags, channels) => new Float32Array(lags * channels),
};

async function writeConvolution(
  lags: number,
  channels: number,
  taps: Float32Array,
  layout: "inner" | "output",
): Promise<string> {
  const b = createBuilder(18, ["x", "y"]);
  const kernel = b.constant("kernel", float32Tensor([lags, channels], taps));
  if (layout === "output") b.add(LONGCONV_OP, ["x", kernel], {}, { domain: LONGCONV_DOMAIN, outputs: ["y"] });
  else
    b.add(
      "Neg",
      [b.one("Neg", [b.one(LONGCONV_OP, [b.one("Identity", ["x"]), kernel], {}, { domain: LONGCONV_DOMAIN })])],
      {},
      { outputs: ["y"] },
    );
  const dims = ["batch", "n", channels] as const;
  const opsets = new Map([
    ["", 18],
    [LONGCONV_DOMAIN, 1],
  ]);
  const [input, output] = ["x", "y"].map((name) => ({ name, type: 1, dims }));
  const file = path.join(folder, "convolution.onnx");
  await writeModel(
    makeModel({ inputs: [input!], outputs: [output!], nodes: b.nodes, initializers: b.initializers, opsets }),
    file,
    { force: true },
  );
  return file;
}

/** y_i = Σ_{j≤i} t_{i-j} x_j in float64, [batch, n, channels]. */
function convolve(x: Float32Array, taps: Float32Array, batch: number, n: number, channels: number): Float64Array {
  const y = new Float64Array(x.length);
  const lags = taps.length / channels;
  for (let row = 0; row < batch; row++)
    for (let i = 0; i < n; i++)
      for (let k = 0; k <= i && k < lags; k++)
        for (let c = 0; c < channels; c++)
          y[(row * n + i) * channels + c]! += taps[k * channels + c]! * x[(row * n + i - k) * channels + c]!;
  return y;
}

test("random kernels", async () => {
  const cases = fc.record({
    seed: fc.nat(),
    kind: fc.constantFrom(...Object.keys(KINDS)),
    channels: fc.integer({ min: 1, max: 8 }),
    lags: fc.integer({ min: 1, max: 160 }),
    length: fc.integer({ min: 1, max: 150 }),
    batch: fc.integer({ min: 1, max: 3 }),
    layout: fc.constantFrom("inner" as const, "output" as const),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, kind, channels, lags, length, batch, layout }) => {
      const r = random(seed);
      const taps = KINDS[kind]!(r, lags, channels);
      const { model } = await convert(await writeConvolution(lags, channels, taps, layout), {
        exact: true,
        horizon: 256,
      });
      const converted = await openConverted(model);
      const x = Float32Array.from({ length: batch * length * channels }, () => r.normal());
      const expected = convolve(x, taps, batch, length, channels);
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const inner = tokenByToken(length - 1).filter(() => r.chance(0.2));
      for (const cuts of [[length], tokenByToken(length), [...inner, length]]) {
        const y = (await converted.run({ x: float32Tensor([batch, length, channels], x) }, cuts)).y!
          .data as Float32Array;
        expect(y.length).toBe(expected.length);
        const difference = y.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
        expect(difference).toBeLessThanOrEqual(1e-5 * largest);
      }
      await converted.close();
    }),
    { numRuns: 20 },
  );
});
