/** Tensors cut along an axis and put together again. */
import { makeTensor, type Tensor } from "./tensor.ts";

/** Rows of a tensor from `from` on, before `to`. */
export interface Part {
  readonly tensor: Tensor;
  readonly from: number;
  readonly to: number;
}

/** Rows of several tensors along an axis, one after the other; other axes are of one size in all. */
export function joinRows(parts: readonly Part[], axis: number): Tensor {
  const { type, dims, data } = parts[0]!.tensor;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const rows = parts.reduce((sum, { from, to }) => sum + to - from, 0);
  const joined = new ((data as Float32Array).constructor as Float32ArrayConstructor)(outer * rows * inner);
  let at = 0;
  for (let o = 0; o < outer; o++)
    for (const { tensor, from, to } of parts) {
      const start = o * tensor.dims[axis]!;
      const part = (tensor.data as Float32Array).subarray((start + from) * inner, (start + to) * inner);
      joined.set(part, at);
      at += part.length;
    }
  return makeTensor(type, dims.with(axis, rows), joined);
}
