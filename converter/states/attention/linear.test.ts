/** Attention without a softmax: a matrix where rules know its factors to be powers, rows of keys and values where they do not. */
import { expect, test } from "vitest";
import { CHANNELS, converted, sameAsOriginal, signal, small, steps } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import type { Builder } from "../../graph/build.ts";
import { DataType, float32Tensor, int64Tensor, toNumbers } from "../../graph/tensor.ts";
import { stateAtStart } from "../../ort/carried.ts";
import { openModel } from "../../ort/run.ts";

/** A factor of all pairs, made of i - j as floats [n, n]. */
type Factor = (b: Builder, apart: string) => string;

/** (x xᵀ ∘ D) x, and divided by 2 + |Σ_j D_ij x_i x_j| where it is normalised. */
const linear = (factor: Factor, normalised = false) =>
  small({
    build(b) {
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const range = b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)]);
      const places = b.one("Cast", [range], { to: DataType.FLOAT });
      const apart = b.one("Sub", [b.one("Unsqueeze", [places, b.ints("axis", [1])]), places]);
      const scores = b.one("MatMul", ["x", b.one("Transpose", ["x"], { perm: [0, 2, 1] })]);
      const weights = b.one("Mul", [b.one("Mul", [scores, b.floats("scale", [], [0.3])]), factor(b, apart)]);
      if (!normalised) return void b.one("MatMul", [weights, "x"], {}, { outputs: ["y"] });
      const sum = b.one("ReduceSum", [weights, b.ints("keys", [-1])], { keepdims: 0 });
      const size = b.one("Add", [b.one("Abs", [sum]), b.floats("two", [], [2])]);
      const divisor = b.one("Unsqueeze", [size, b.ints("last", [2])]);
      b.one("Div", [b.one("MatMul", [weights, "x"]), divisor], {}, { outputs: ["y"] });
    },
  });

const zero = (b: Builder) => b.floats("zero", [], [0]);
const held = (b: Builder, apart: string, from = 0) => b.one("Max", [apart, b.floats("bound", [], [from])]);
const shown = (b: Builder, apart: string, factor: string) =>
  b.one("Where", [b.one("GreaterOrEqual", [apart, zero(b)]), factor, zero(b)]);
const power =
  (decay: number, from = 0): Factor =>
  (b, apart) =>
    shown(b, apart, b.one("Pow", [b.floats("decay", [], [decay]), held(b, apart, from)]));
const exponential =
  (rate: number): Factor =>
  (b, apart) =>
    shown(b, apart, b.one("Exp", [b.one("Mul", [held(b, apart), b.floats("rate", [], [-rate])])]));
const triangle: Factor = (b, apart) =>
  b.one("Cast", [b.one("GreaterOrEqual", [apart, zero(b)])], { to: DataType.FLOAT });

test.each<[string, Factor, boolean]>([
  ["a power", power(0.9), false],
  ["a slow power, normalised", power(1 - 2 ** -9), true],
  ["an exponential", exponential(0.05), false],
  ["a power times a number", (b, apart) => b.one("Mul", [power(0.99)(b, apart), b.floats("half", [], [0.5])]), false],
])("a state of fixed size: %s", async (_, factor, normalised) => {
  const model = linear(factor, normalised);
  const { layers } = await convertModel(model);
  // the normaliser is summed first
  const dims = [...(normalised ? [[CHANNELS, 1]] : []), [CHANNELS, CHANNELS]];
  expect(layers.map((layer) => [layer.form, layer.claim.kind, layer.dims])).toEqual(
    dims.map((each) => ["recurrent", "proven", each]),
  );
  await sameAsOriginal(model);
});

test.each<[string, Factor]>([
  ["a sum of two decays", (b, apart) => b.one("Add", [power(0.9)(b, apart), power(0.5)(b, apart)])],
  ["a power that is held at its start for 2 000 positions", power(0.9, 2000)],
  ["a power that grows", power(1.01)],
  [
    "another decay far behind",
    (b, apart) => {
      const far = b.one("Greater", [apart, b.floats("far", [], [3000])]);
      return b.one("Where", [far, power(0.5)(b, apart), power(0.9999)(b, apart)]);
    },
  ],
])("rows of keys and values: %s", async (_, factor) => {
  const { layers } = await convertModel(linear(factor));
  expect(layers.map(({ form }) => form)).toEqual(["cache", "cache"]);
});

test.each([
  ["the slowest head of a published RetNet", power(1 - 2 ** -12), 1 - 2 ** -12],
  ["a decay that float32 does not hold", exponential(2 ** -11 / 3), Math.exp(-Math.fround(2 ** -11 / 3))],
  ["no decay", triangle, 1],
] as const)("3 000 positions, one by one, against float64: %s", async (_, factor, decay) => {
  const x = signal(3000);
  const found = await steps(await converted(linear(factor)), x);
  const state = new Float64Array(CHANNELS * CHANNELS);
  let [apart, largest] = [0, 0];
  for (const [t, row] of found.entries()) {
    const own = (x.data as Float32Array).subarray(t * CHANNELS, (t + 1) * CHANNELS);
    for (let k = 0; k < CHANNELS; k++)
      for (let v = 0; v < CHANNELS; v++) state[k * CHANNELS + v] = decay * state[k * CHANNELS + v]! + own[k]! * own[v]!;
    for (let v = 0; v < CHANNELS; v++) {
      let due = 0;
      for (let k = 0; k < CHANNELS; k++) due += Math.fround(0.3) * own[k]! * state[k * CHANNELS + v]!;
      apart = Math.max(apart, Math.abs(due - row[v]!));
      largest = Math.max(largest, Math.abs(due));
    }
  }
  expect(apart).toBeLessThan(2e-5 * largest);
});

test("a left-padded row gives what the row alone gives, whatever stands in the padding", async () => {
  const { model } = await convertModel(linear(power(0.9), true), { attentionMask: true });
  const runner = await openModel(model);
  const starts = () =>
    Object.fromEntries(
      model.graph.inputs
        .filter(({ name }) => name.startsWith("past_"))
        .map((info) => [info.name, stateAtStart(info, 1)]),
    );
  const [padding, tokens] = [7, 12];
  const x = signal(tokens);
  const padded = new Float32Array((padding + tokens) * CHANNELS).fill(Number.NaN, 0, padding * CHANNELS);
  padded.set(x.data as Float32Array, padding * CHANNELS);
  const mask = (shown: readonly number[]) => int64Tensor([1, shown.length], [...shown]);
  const ones = new Array<number>(tokens).fill(1);
  const alone = await runner.run({ x, attention_mask: mask(ones), ...starts() });
  const together = await runner.run({
    x: float32Tensor([1, padding + tokens, CHANNELS], padded),
    attention_mask: mask([...new Array<number>(padding).fill(0), ...ones]),
    ...starts(),
  });
  await runner.close();
  const due = toNumbers(alone.y!);
  const got = toNumbers(together.y!).subarray(padding * CHANNELS);
  for (const [i, value] of due.entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(1e-5);
});
