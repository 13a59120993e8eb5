/** Long convolutions in their graph: one channel that several kernels read, kept as a window or as a recurrence. */
import { expect, test } from "vitest";
import { CHANNELS, small } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";

const KERNELS = 3;

test.each<[string, number, (k: number) => number]>([
  ["a window", 5, (k) => Math.cos(k * k)],
  ["a recurrence", 60, (k) => 0.9 ** (k % 60) * (k < 60 ? 1 : -0.5)],
])("one channel, three kernels: %s", async (_, taps, tap) => {
  const model = small({
    outputDims: ["b", "n", KERNELS],
    build(b) {
      const one = b.one("Slice", ["x", b.ints("from", [0]), b.ints("to", [1]), b.ints("axis", [2])]);
      const turned = b.one("Transpose", [one], { perm: [0, 2, 1] });
      const values = Array.from({ length: KERNELS * taps }, (_, i) => tap(taps - 1 - (i % taps)));
      const filter = b.floats("filter", [KERNELS, 1, taps], values);
      const y = b.one("Conv", [turned, filter], { kernel_shape: [taps], pads: [taps - 1, 0] });
      b.one("Transpose", [y], { perm: [0, 2, 1] }, { outputs: ["y"] });
    },
  });
  const { claim, check } = await convertModel(model);
  expect(claim.kind).toBe("proven");
  expect(check.largest).toBeLessThan(1e-5);
});

/** A Conv of all channels along time. @param tap of a kernel, lag by lag */
const mixing = (outputs: number, taps: number, tap: (o: number, i: number, k: number) => number) =>
  small({
    outputDims: ["b", "n", outputs],
    build(b) {
      const turned = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      const values = Array.from({ length: outputs * CHANNELS * taps }, (_, at) => {
        const [o, i] = [Math.floor(at / CHANNELS / taps), Math.floor(at / taps) % CHANNELS];
        return tap(o, i, taps - 1 - (at % taps));
      });
      const filter = b.floats("filter", [outputs, CHANNELS, taps], values);
      const bias = b.floats(
        "bias",
        [outputs],
        Array.from({ length: outputs }, (_, o) => o + 1),
      );
      const y = b.one("Conv", [turned, filter, bias], { kernel_shape: [taps], pads: [taps - 1, 0] });
      b.one("Transpose", [y], { perm: [0, 2, 1] }, { outputs: ["y"] });
    },
  });

const DYING = (o: number, i: number, k: number) => (1 + o) * (i - 1.5) * 0.85 ** k + (o === i ? 0.8 ** k : 0);

test.each<[string, number, number, (o: number, i: number, k: number) => number, object, string, number]>([
  ["two poles for all pairs of channels", 3, 100, DYING, {}, "mixed", 4],
  ["no structure", 2, 70, (o, i, k) => Math.sin((o + 2 * i + 1) * k * k), {}, "window", 69],
  ["asked for exactly", 3, 100, DYING, { exact: true }, "window", 94],
  ["a given order", 3, 100, DYING, { order: 2, checkTolerance: 1 }, "mixed", 2],
])("channels that mix: %s", async (_, outputs, taps, tap, options, form, order) => {
  const { claim, check, layers } = await convertModel(mixing(outputs, taps, tap), options);
  expect(layers.map((layer) => [layer.form, layer.order])).toEqual([[form, order]]);
  expect(claim.kind).toBe("proven");
  if (!("order" in options)) expect(check.largest).toBeLessThan(1e-4);
  for (const { certificate } of layers)
    if (certificate) expect(certificate.layer.outputPerLargestInput).toBeLessThan(order > 2 ? 1e-3 : 10);
});

test("a mixing Conv of few taps is kept", async () => {
  const { layers } = await convertModel(mixing(2, 20, DYING));
  expect(layers.map(({ form }) => form)).toEqual(["rows"]);
});
