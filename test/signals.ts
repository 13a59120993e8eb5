/** Random signals for tests. */
import { float32Tensor, type Tensor } from "../converter/graph/tensor.ts";
import { normal } from "../src/random.ts";

/** Normal numbers of a size. */
export function normalSignal(dims: readonly number[], seed: number, size = 1): Tensor {
  const next = normal(seed);
  return float32Tensor(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => size * next()),
  );
}
