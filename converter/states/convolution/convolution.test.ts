/** Long convolutions in their graph: one channel that several kernels read, kept as a window or as a recurrence. */
import { expect, test } from "vitest";
import { small } from "../../../test/small.ts";
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
