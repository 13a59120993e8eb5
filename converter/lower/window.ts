/**
 * The window form: the last L-1 inputs, carried, for kernels of L taps; exact for ever where they are zero from there.
 *
 *     z   = (x_{i-L+1} … x_{i-1}; x_i)     [lags] per channel, oldest first
 *     y_i = 1ᵀ (C ∘ z)                     C [lags × channels]: taps, last lag first
 *     carried: z without its oldest row
 *
 * Many tokens: z grows by T-1 rows. A few taps are added up one by one; more go through a depthwise Conv.
 */

import type { AddOptions, Builder } from "../graph/build.ts";
import type { Kernels } from "../solve/form.ts";
import { type PathTensors, type Recurrence, sumRows } from "./recurrence.ts";

/** Up to this many taps, one Mul and one Add for each are faster than Transpose, Conv, Transpose. */
const FEW_TAPS = 3;
const END = Number.MAX_SAFE_INTEGER;

/** The recurrence of a kernel of finite length. */
export function windowRecurrence(kernels: Kernels): Recurrence {
  const { lags, channels } = kernels;
  return {
    state: "conv",
    rows: Math.max(0, lags - 1),
    channels,
    decodeStep: (b, path) => windowDecodeStep(b, kernels, path),
    prefill: (b, path) => windowPrefill(b, kernels, path),
  };
}

function windowDecodeStep(b: Builder, kernels: Kernels, { x, past, present }: PathTensors): string {
  const { lags, channels } = kernels;
  const window = b.one("Concat", [past, x], { axis: 1 });
  const taps = b.floats("taps", [lags, channels], oldestFirst(kernels));
  const y = sumRows(b, lags, b.one("Mul", [window, taps]));
  rowsOf(b, window, 1, END, { outputs: [present] });
  return y;
}

function windowPrefill(b: Builder, kernels: Kernels, { x, past, present }: PathTensors): string {
  const window = b.one("Concat", [past, x], { axis: 1 });
  const y = kernels.lags <= FEW_TAPS ? sumOfShifts(b, kernels, window) : depthwise(b, kernels, window);
  rowsOf(b, window, 1 - kernels.lags, END, { outputs: [present] });
  return y;
}

function sumOfShifts(b: Builder, kernels: Kernels, window: string): string {
  const { lags, channels } = kernels;
  const taps = oldestFirst(kernels);
  const terms = Array.from({ length: lags }, (_, row) => {
    const shifted = rowsOf(b, window, row, row + 1 < lags ? row + 1 - lags : END, { hint: "shifted" });
    const tap = taps.subarray(row * channels, (row + 1) * channels);
    return b.one("Mul", [shifted, b.floats("tap", [channels], tap)]);
  });
  return terms.reduce((sum, term) => b.one("Add", [sum, term]));
}

function depthwise(b: Builder, kernels: Kernels, window: string): string {
  const { lags, channels, taps } = kernels;
  const weights = new Float32Array(channels * lags);
  for (let c = 0; c < channels; c++) {
    for (let k = 0; k < lags; k++) weights[c * lags + lags - 1 - k] = taps[k * channels + c]!;
  }
  const byChannel = b.one("Transpose", [window], { perm: [0, 2, 1] });
  const convolved = b.one("Conv", [byChannel, b.floats("weights", [channels, 1, lags], weights)], { group: channels });
  return b.one("Transpose", [convolved], { perm: [0, 2, 1] });
}

function rowsOf(b: Builder, window: string, from: number, to: number, options: AddOptions): string {
  return b.one("Slice", [window, b.ints("from", [from]), b.ints("to", [to]), b.ints("rows", [1])], undefined, options);
}

function oldestFirst({ lags, channels, taps }: Kernels): Float64Array {
  const rows = new Float64Array(lags * channels);
  for (let k = 0; k < lags; k++) rows.set(taps.subarray(k * channels, (k + 1) * channels), (lags - 1 - k) * channels);
  return rows;
}
