/** The convolution of a form in float64, and its lowered recurrence run in parts: what tests compare. */

import { DataType, type Tensor } from "../../converter/graph/tensor.ts";
import { openModel, type Runner } from "../../converter/ort/run.ts";
import { kernelOf } from "../../converter/solve/evaluate.ts";
import { channelOf, type Form, type Kernels, kernelsOwn, orderOf } from "../../converter/solve/form.ts";
import { randomOf } from "./forms.ts";
import { type RecurrenceModelOptions, recurrenceModel } from "./model.ts";

/** [batch, tokens, channels] */
export type Shape = readonly [batch: number, tokens: number, channels: number];

/** y [batch, T, channels]: the recurrence of form.ts for modal forms, the sum over lags for windows. */
export function reference(form: Form, x: Float32Array, [batch, tokens, channels]: Shape): Float64Array {
  const mixed = mixingOf(form);
  if (mixed) return mixedReference(mixed.kernels(tokens), mixed.outputs, x, [batch, tokens, channels]);
  const y = new Float64Array(x.length);
  for (let row = 0; row < batch; row++) {
    for (let c = 0; c < channels; c++) {
      const at = (t: number) => (row * tokens + t) * channels + c;
      const next = nextOf(form, c);
      for (let t = 0; t < tokens; t++) y[at(t)] = next(x[at(t)]!);
    }
  }
  return y;
}

/** The kernels of a form that mixes channels. */
function mixingOf(form: Form) {
  if (form.kind === "mixed")
    return { outputs: form.modal.outputs, kernels: (lags: number) => kernelOf(kernelsOwn(form.modal), lags) };
  if (form.kind === "window" && form.mixing) return { outputs: form.mixing.outputs, kernels: () => form.kernels };
  return undefined;
}

/** y_o = Σ over inputs of the convolution with kernel o · inputs + i. */
function mixedReference({ lags, taps }: Kernels, outputs: number, x: Float32Array, shape: Shape): Float64Array {
  const [batch, tokens, inputs] = shape;
  const y = new Float64Array(batch * tokens * outputs);
  for (let row = 0; row < batch; row++)
    for (let t = 0; t < tokens; t++)
      for (let k = 0; k < Math.min(lags, t + 1); k++)
        for (let o = 0; o < outputs; o++)
          for (let i = 0; i < inputs; i++)
            y[(row * tokens + t) * outputs + o]! +=
              taps[(k * outputs + o) * inputs + i]! * x[(row * tokens + t - k) * inputs + i]!;
  return y;
}

type OfChannels = Exclude<Form, { kind: "mixed" }>;

function nextOf(form: Form, channel: number): (input: number) => number {
  if (form.kind === "window") return slidingSum(form.kernels, channel);
  const { kind, modal } = form as Exclude<OfChannels, { kind: "window" }>;
  return kind === "diagonal" ? recurrence(channelOf(modal, channel), 0) : recurrence(modal, channel);
}

function slidingSum({ lags, channels, taps }: Extract<Form, { kind: "window" }>["kernels"], channel: number) {
  const inputs = new Array<number>(lags).fill(0);
  return (input: number): number => {
    inputs.unshift(input);
    inputs.pop();
    return inputs.reduce((sum, value, k) => sum + taps[k * channels + channel]! * value, 0);
  };
}

function recurrence(modal: Extract<Form, { kind: "compact" }>["modal"], channel: number) {
  const { channels, pairs, reals, residues, direct } = modal;
  const u = new Float64Array(orderOf(modal));
  return (input: number): number => {
    pairs.re.forEach((re, p) => {
      const im = pairs.im[p]!;
      [u[2 * p], u[2 * p + 1]] = [re * u[2 * p]! - im * u[2 * p + 1]! + input, im * u[2 * p]! + re * u[2 * p + 1]!];
    });
    reals.forEach((pole, r) => {
      const s = 2 * pairs.re.length + r;
      u[s] = pole * u[s]! + input;
    });
    return u.reduce((sum, value, s) => sum + residues[s * channels + channel]! * value, direct[channel]! * input);
  };
}

/** Noise with zeros in it. */
export function inputOf(size: number, seed = 7): Float32Array {
  const random = randomOf(seed);
  return Float32Array.from({ length: size }, (_, i) => (i % 11 === 5 ? 0 : 2 * random() - 1));
}

/** A recurrence in a session of its own. */
export interface OpenRecurrence {
  readonly runner: Runner;
  /** Its state; none where nothing is carried. */
  readonly state: { readonly past: string; readonly present: string; readonly dims: readonly number[] } | undefined;
}

export async function openRecurrence(form: Form, options?: RecurrenceModelOptions): Promise<OpenRecurrence> {
  const model = recurrenceModel(form, options);
  const past = model.graph.inputs.find(({ name }) => name.startsWith("past_"));
  const present = model.graph.outputs.find(({ name }) => name.startsWith("present_"));
  const state = past && present && { past: past.name, present: present.name, dims: past.dims!.slice(1) as number[] };
  return { runner: await openModel(model, { threads: 1 }), state };
}

export const floats = (dims: readonly number[], data: Float32Array): Tensor => ({ type: DataType.FLOAT, dims, data });

/**
 * Feeds x in parts of the given lengths, carrying the state.
 * @param mask [batch, tokens], for a model that was made with one
 * @returns y of all parts together
 */
export async function runInParts(
  { runner, state }: OpenRecurrence,
  x: Float32Array,
  [batch, tokens, channels]: Shape,
  parts: readonly number[],
  mask?: Float32Array,
): Promise<Float64Array> {
  let y: Float64Array | undefined;
  const [rows = 0, wide = 0] = state?.dims ?? [];
  let carried = floats([batch, rows, wide], new Float32Array(batch * rows * wide));
  let from = 0;
  const piece = (all: Float32Array, part: number, width: number) => {
    const values = new Float32Array(batch * part * width);
    for (let row = 0; row < batch; row++) {
      const start = (row * tokens + from) * width;
      values.set(all.subarray(start, start + part * width), row * part * width);
    }
    return floats([batch, part, width], values);
  };
  for (const part of parts) {
    const feeds: Record<string, Tensor> = { x: piece(x, part, channels) };
    if (mask) feeds.mask = piece(mask, part, 1);
    if (state) feeds[state.past] = carried;
    const results = await runner.run(feeds);
    const out = results.y!.data as Float32Array;
    const outputs = results.y!.dims[2]!;
    y ??= new Float64Array(batch * tokens * outputs);
    for (let row = 0; row < batch; row++) {
      y.set(out.subarray(row * part * outputs, (row + 1) * part * outputs), (row * tokens + from) * outputs);
    }
    if (state) carried = results[state.present]!;
    from += part;
  }
  return y!;
}

/** Largest difference over the largest value; NaN if anything is. */
export function relativeError(found: Float64Array, expected: Float64Array): number {
  const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largest(found.map((value, i) => value - expected[i]!)) / largest(expected);
}

/** Random parts that add up to the length, many of them single tokens. */
export function cuts(length: number, seed: number): number[] {
  const random = randomOf(seed);
  const parts: number[] = [];
  for (let left = length; left > 0; left -= parts.at(-1)!) {
    parts.push(random() < 0.4 ? 1 : 1 + Math.floor(random() * Math.min(left, 90)));
  }
  return parts;
}
