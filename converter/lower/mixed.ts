/**
 * The mixed form: states that belong to no channel, which all inputs drive and all outputs read:
 *
 *     v_i = Λ v_{i-1} + B x_i          [states]: pairs' real parts, their imaginary parts, real poles
 *     y_i = C v_i + D x_i
 *
 * What is carried is [batch, 1, states]. Many tokens: mixed-prefill.ts.
 */

import type { Builder } from "../graph/build.ts";
import { type Kernels, type MixedModal, type Mixing, statesOf } from "../solve/form.ts";
import { exchange, mixedPrefill } from "./mixed-prefill.ts";
import type { PathTensors, Recurrence } from "./recurrence.ts";

/** Numbers of the largest matrix of a chunk. */
const CHUNK_NUMBERS = 2 ** 18;

/** The recurrence of states that all channels share. @param chunk tokens in a chunk of prefill */
export function mixedRecurrence(modal: MixedModal, chunk = chunkFor(modal)): Recurrence {
  return {
    state: "ssm",
    rows: 1,
    channels: statesOf(modal),
    decodeStep: (b, path) => mixedDecodeStep(b, modal, path),
    prefill: (b, path) => mixedPrefill(b, modal, path, chunk),
  };
}

function chunkFor(modal: MixedModal): number {
  const { inputs, outputs } = modal;
  const widest = Math.max(inputs * outputs, 1);
  const byStates = CHUNK_NUMBERS / (Math.max(inputs, outputs) * Math.max(1, statesOf(modal)));
  return Math.max(4, Math.min(32, Math.floor(Math.sqrt(CHUNK_NUMBERS / widest)), Math.floor(byStates)));
}

function mixedDecodeStep(b: Builder, modal: MixedModal, { x, past, present }: PathTensors): string {
  const { inputs, outputs, pairs, reals, drive, read, direct } = modal;
  const states = statesOf(modal);
  const poles = Float64Array.of(...pairs.re, ...pairs.re, ...reals);
  const along = b.one("Mul", [past, b.floats("poles_re", [states], poles)]);
  const turned = pairs.re.length === 0 ? along : b.one("Add", [along, across(b, modal, past)]);
  const driven = b.one("MatMul", [x, b.floats("drive", [inputs, states], transposed(drive, states, inputs))]);
  b.add("Add", [turned, driven], undefined, { outputs: [present] });
  const y = b.one("MatMul", [present, b.floats("read", [states, outputs], read)], undefined, { hint: "y" });
  if (direct.every((value) => value === 0)) return y;
  const through = b.floats("direct", [inputs, outputs], transposed(direct, outputs, inputs));
  return b.one("Add", [y, b.one("MatMul", [x, through])]);
}

/** What the imaginary parts of the poles make of the states. */
function across(b: Builder, { pairs, reals }: MixedModal, past: string): string {
  const exchanged = b.one("Gather", [past, b.ints("exchange", exchange(pairs.re.length, reals.length))], { axis: 2 });
  const im = Float64Array.of(...pairs.im.map((value) => -value), ...pairs.im, ...reals.map(() => 0));
  return b.one("Mul", [exchanged, b.floats("poles_im", [im.length], im)]);
}

/** [rows × columns] row by row → [columns × rows]. */
export function transposed(values: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c]!;
  return result;
}

/** A window of all channels, for kernels of L taps that mix them: z = (x_{i-L+1} … x_i), y_i = Σ_k K_k x_{i-k}. */
export function mixedWindow(kernels: Kernels, { inputs, outputs }: Mixing): Recurrence {
  const { lags, taps } = kernels;
  // [lags · inputs × outputs], oldest first; of Conv [outputs × inputs × lags]
  const rows = new Float64Array(lags * inputs * outputs);
  const weights = new Float64Array(lags * inputs * outputs);
  for (let k = 0; k < lags; k++)
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i < inputs; i++) {
        const tap = taps[(k * outputs + o) * inputs + i]!;
        rows[((lags - 1 - k) * inputs + i) * outputs + o] = tap;
        weights[(o * inputs + i) * lags + lags - 1 - k] = tap;
      }
  const lastOf = (b: Builder, window: string, present: string) => {
    const cut = [b.ints("from", [1 - lags]), b.ints("to", [Number.MAX_SAFE_INTEGER]), b.ints("rows", [1])];
    b.one("Slice", [window, ...cut], undefined, { outputs: [present] });
  };
  return {
    state: "conv",
    rows: Math.max(0, lags - 1),
    channels: inputs,
    decodeStep: (b, { x, past, present }) => {
      const window = b.one("Concat", [past, x], { axis: 1 });
      const flat = b.one("Reshape", [window, b.ints("flat", [0, 1, lags * inputs])]);
      lastOf(b, window, present);
      return b.one("MatMul", [flat, b.floats("taps", [lags * inputs, outputs], rows)], undefined, { hint: "y" });
    },
    prefill: (b, { x, past, present }) => {
      const window = b.one("Concat", [past, x], { axis: 1 });
      lastOf(b, window, present);
      const byChannel = b.one("Transpose", [window], { perm: [0, 2, 1] });
      const filtered = b.one("Conv", [byChannel, b.floats("weights", [outputs, inputs, lags], weights)]);
      return b.one("Transpose", [filtered], { perm: [0, 2, 1] });
    },
  };
}
