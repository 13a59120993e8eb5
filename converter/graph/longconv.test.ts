/** The body of LongConv against the sum that defines it. */
import { describe, expect, test } from "vitest";
import { openModel } from "../ort/run.ts";
import { createBuilder, makeModel } from "./build.ts";
import { addLongConv } from "./longconv.ts";
import { DataType, float32Tensor } from "./tensor.ts";

function random(seed: number, length: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647 - 0.5;
  });
}

/** y_i = Σ_{j≤i} kernel_{i-j} x_j in float64. */
function direct(x: Float32Array, kernel: Float32Array, batch: number, n: number, lags: number, channels: number) {
  const y = new Float64Array(batch * n * channels);
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < n; i++)
      for (let j = Math.max(0, i - lags + 1); j <= i; j++)
        for (let c = 0; c < channels; c++)
          y[(b * n + i) * channels + c]! += kernel[(i - j) * channels + c]! * x[(b * n + j) * channels + c]!;
  return y;
}

describe.each([13, 16, 17, 18, 20, 22])("opset %i", (opset) => {
  test("any length, batch, and number of lags", async () => {
    const builder = createBuilder(opset, ["x", "kernel", "y"]);
    addLongConv(builder, "x", "kernel", "y");
    const runner = await openModel(
      makeModel({
        inputs: [
          { name: "x", type: DataType.FLOAT, dims: ["batch", "n", "channels"] },
          { name: "kernel", type: DataType.FLOAT, dims: ["lags", "channels"] },
        ],
        outputs: [{ name: "y", type: DataType.FLOAT, dims: ["batch", "n", "channels"] }],
        nodes: builder.nodes,
        initializers: builder.initializers,
        opsets: opset,
      }),
    );
    // Powers of two and their neighbours, primes, kernels longer and shorter than the sequence.
    for (const [batch, n, lags, channels] of [
      [1, 1, 1, 1],
      [2, 3, 3, 2],
      [1, 4, 4, 3],
      [3, 64, 64, 2],
      [1, 65, 65, 2],
      [1, 509, 509, 2],
      [2, 40, 17, 3],
      [1, 17, 40, 3],
    ] as const) {
      const x = random(1, batch * n * channels);
      const kernel = random(2, lags * channels);
      const feeds = { x: float32Tensor([batch, n, channels], x), kernel: float32Tensor([lags, channels], kernel) };
      const { y } = await runner.run(feeds);
      expect(y!.dims).toEqual([batch, n, channels]);
      const expected = direct(x, kernel, batch, n, lags, channels);
      const got = y!.data as Float32Array;
      const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      const difference = expected.reduce((max, value, k) => Math.max(max, Math.abs(value - got[k]!)), 0);
      expect(difference / largest).toBeLessThan(2e-6);
    }
    await runner.close();
  });
});
