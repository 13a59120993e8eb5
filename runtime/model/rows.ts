/** Rows of states that grow, of one sequence: one a position, oldest first, so that those of a beginning are the first of a longer one. On the CPU. */

import { cpuData, type NumericData, zeros } from "../sessions/numeric.ts";
import type { Tensor } from "../sessions/ort.ts";
import type { Model, State } from "./model.ts";

/** How many rows the states that grow have; 0 where none grows. */
export const rowsOf = ({ columns, batchSize }: Pick<State, "columns" | "batchSize">): number =>
  (columns?.length ?? 0) / batchSize;

/** The rows from … to of a state that grows (its index in `model.states`), as a tensor of their own. */
export function cutRows(model: Model, index: number, tensor: Tensor, from: number, to: number): Tensor {
  const { type, dims, grows } = model.states[index]!;
  const { outer, inner } = around(dims, grows!);
  const data = cpuData(tensor);
  const rows = data.length / (outer * inner);
  const result = zeros(type, outer * (to - from) * inner);
  for (let o = 0; o < outer; o++)
    copy(result, o * (to - from) * inner, data, (o * rows + from) * inner, (to - from) * inner);
  return new model.backend.Tensor(type, result, [1, ...dims.with(grows!, to - from)]);
}

/** Rows one after the other, of a state that grows (its index in `model.states`). */
export function joinRows(model: Model, index: number, tensors: readonly Tensor[]): Tensor {
  const { type, dims, grows } = model.states[index]!;
  const { outer, inner } = around(dims, grows!);
  const parts = tensors.map(cpuData);
  const counts = parts.map((part) => part.length / (outer * inner));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const result = zeros(type, outer * total * inner);
  let row = 0;
  for (const [part, data] of parts.entries()) {
    const count = counts[part]!;
    for (let o = 0; o < outer; o++) copy(result, (o * total + row) * inner, data, o * count * inner, count * inner);
    row += count;
  }
  return new model.backend.Tensor(type, result, [1, ...dims.with(grows!, total)]);
}

/** Numbers around a row: how many blocks of rows there are, and how many numbers a row has in each. */
function around(dims: readonly number[], grows: number): { readonly outer: number; readonly inner: number } {
  const product = (some: readonly number[]) => some.reduce((all, dim) => all * dim, 1);
  return { outer: product(dims.slice(0, grows)), inner: product(dims.slice(grows + 1)) };
}

// Both have the type of the same state, so that bigint meets bigint.
const copy = (to: NumericData, at: number, from: NumericData, start: number, count: number): void =>
  (to as Float32Array).set((from as Float32Array).subarray(start, start + count), at);
