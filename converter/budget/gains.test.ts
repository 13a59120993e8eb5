/** Gains against what they predict: kernels with an error, run beside the original in ORT. */
import { expect, test } from "vitest";
import { normal } from "../../src/random.ts";
import { normalSignal } from "../../test/signals.ts";
import { CHANNELS, conversion, small } from "../../test/small.ts";
import { analyse } from "../analyse.ts";
import type { Builder } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { LONGCONV_DOMAIN, LONGCONV_OP } from "../graph/longconv.ts";
import { toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { measureGains } from "./gains.ts";

const LAGS = 128;
/** What enters the channels of the first layer is of different sizes, and so is what the second layer makes of them. */
const SIZES = [1, 0.1, 3, 0.5];
const READ = [2, 1, 0.05, 1];

const long = (b: Builder, x: string, taps: Float32Array): string =>
  b.one(LONGCONV_OP, [x, b.floats("taps", [LAGS, CHANNELS], taps)], {}, { domain: LONGCONV_DOMAIN });

/** Two layers with a nonlinearity between them. */
const model = (first: Float32Array, second: Float32Array, time: number | "n" = "n", last = false): Model =>
  small({
    time,
    ...(last && { outputDims: ["b", CHANNELS] }),
    build(b) {
      const sized = b.one("Mul", ["x", b.floats("sizes", [CHANNELS], SIZES)]);
      const inner = b.one("Tanh", [long(b, sized, first)]);
      const outer = b.one("Mul", [long(b, inner, second), b.floats("read", [CHANNELS], READ)]);
      if (last) b.one("Gather", [outer, b.ints("end", -1)], { axis: 1 }, { outputs: ["y"] });
      else b.one("Identity", [outer], {}, { outputs: ["y"] });
    },
  });

/** Kernels that die away and are no sum of a few exponentials, [lags × channels]. */
const taps = (seed: number) =>
  Float32Array.from({ length: LAGS * CHANNELS }, (_, i) => {
    const [k, c] = [Math.floor(i / CHANNELS), i % CHANNELS];
    return (0.85 ** k * Math.cos(seed * k)) / (1 + 0.2 * k * (c + seed));
  });

async function outputs(of: Model, length: number): Promise<Float64Array> {
  const runner = await openModel((await analyse(of)).graphs.model);
  const { y } = await runner.run({ x: normalSignal([1, length, CHANNELS], 3) });
  await runner.close();
  return Float64Array.from(toNumbers(y!));
}

const norm = (values: Iterable<number>) => Math.sqrt([...values].reduce((sum, value) => sum + value * value, 0));

test("a kernel's error times its gain is what the outputs change by", async () => {
  const kernels = [taps(1), taps(2)] as const;
  const found = await analyse(model(...kernels));
  const gains = await measureGains(found);
  expect(found.regions).toHaveLength(2);
  const right = await outputs(model(...kernels), 2000);
  for (const layer of [0, 1]) {
    for (let c = 0; c < CHANNELS; c++) {
      // an error with nothing in common with the kernel, in one channel's taps
      const next = normal(20 + c);
      const error = Float64Array.from({ length: LAGS }, () => 1e-3 * next());
      const off = kernels.map((each, l) =>
        each.map((tap, i) => (l === layer && i % CHANNELS === c ? tap + error[Math.floor(i / CHANNELS)]! : tap)),
      );
      const wrong = await outputs(model(off[0]!, off[1]!), 2000);
      const change = norm(wrong.map((value, i) => value - right[i]!)) / norm(right);
      // the second region absorbs what its answers are multiplied by
      const within = layer === 1 ? READ[c]! : 1;
      const predicted = gains.get(found.regions[layer]!)![c]! * within * norm(error);
      expect(change / predicted, `layer ${layer}, channel ${c}`).toBeGreaterThan(0.6);
      expect(change / predicted, `layer ${layer}, channel ${c}`).toBeLessThan(1.7);
    }
  }
});

test("an export of one length, and one that answers for the last position", async () => {
  const free = await analyse(model(taps(1), taps(2)));
  const wanted = [...(await measureGains(free)).values()];
  for (const other of [model(taps(1), taps(2), 128), model(taps(1), taps(2), "n", true)]) {
    const gains = [...(await measureGains(await analyse(other))).values()];
    gains.forEach((layer, l) => {
      layer.forEach((gain, c) => {
        expect(gain / wanted[l]![c]!).toBeGreaterThan(0.2);
        expect(gain / wanted[l]![c]!).toBeLessThan(5);
      });
    });
  }
});

test("a budget of the outputs is shared by a tolerance only", async () => {
  const source = model(taps(1), taps(2));
  for (const options of [{ order: 8 }, { exact: true }, { maxState: 1000 }])
    await expect(conversion(source, { budget: "outputs", ...options })).rejects.toMatchObject({ code: "usage" });
  await expect(conversion(source, { budget: "all" as "outputs" })).rejects.toMatchObject({ code: "usage" });
});

test("what is left of the outputs is within the budget, and every layer is certified", async () => {
  const source = model(taps(1), taps(2));
  const budget = 1e-3;
  const { layers, model: recurrent } = await conversion(source, { budget: "outputs", tolerance: budget, horizon: 256 });
  for (const { form, certificate, error } of layers) {
    expect(form).toMatch(/compact|diagonal/);
    expect(certificate!.layer.relative).toBe(error);
    expect(error).toBeLessThanOrEqual(10 * budget);
  }
  const runner = await openModel(recurrent);
  const zero = Object.fromEntries(
    recurrent.graph.inputs
      .filter(({ name }) => name.startsWith("past_"))
      .map(({ name, dims }) => [
        name,
        normalSignal(
          dims!.map((dim) => (typeof dim === "number" ? dim : 1)),
          1,
          0,
        ),
      ]),
  );
  const { y } = await runner.run({ x: normalSignal([1, 2000, CHANNELS], 3), ...zero });
  await runner.close();
  const right = await outputs(source, 2000);
  const left = norm([...toNumbers(y!)].map((value, i) => value - right[i]!)) / norm(right);
  expect(left).toBeLessThan(1.5 * budget);
  expect(left).toBeGreaterThan(0);
});
