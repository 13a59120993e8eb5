/** Probes a region: is it a causal convolution of each channel with one kernel, whatever the length? */
import type { ErrorCode } from "../../src/errors.ts";
import { signed } from "../../src/random.ts";
import type { RunRows } from "../parts/open-region.ts";
import { energiesOf } from "../solve/energies.ts";
import type { Kernels } from "../solve/form.ts";

export interface ProbeResult {
  /** Kernel, bias taken out, over the probed length. */
  readonly kernels: Kernels;
  /** What comes out for zeros: a number per channel. */
  readonly bias: Float64Array;
  /** The channel that enters for each that leaves; undefined where only zeros leave. */
  readonly sources: Sources;
}

/** Of each channel that leaves, the one that enters and is answered there. */
export type Sources = readonly (number | undefined)[];

export interface ProbeRefusal {
  readonly code: ErrorCode;
  readonly reason: string;
  /** How far the probes got, to choose the most telling refusal among several exits. */
  readonly stage: number;
}

/** Unit round-off of float32. */
const UNIT = 2 ** -24;

/** Signals that a region answers in proportion, if it is linear. */
const AMPLITUDES = [
  { name: "loud", amplitude: 1000, code: "not-linear", says: "the response does not grow with the amplitude" },
  { name: "soft", amplitude: 1e-3, code: "not-linear", says: "the response does not shrink with the amplitude" },
] as const;

interface Row {
  readonly name: string;
  readonly code: ErrorCode;
  readonly says: string;
  readonly values: Float64Array;
}

/**
 * Probes at one length. The region is known to be affine (by rule), so impulses tell all: an impulse at position 0 in
 * every channel gives the kernels; one that has another size in each channel tells which of them is answered where; impulses
 * elsewhere, weighted by channel, show time invariance, causality and independence of channels; dense signals at several
 * amplitudes confirm it.
 * @param known what was found at another length; kernels at more lags: a transform rounds by the size of all of them
 * @param amplitudes whether loud and soft signals are tried as well: one length is enough for that
 */
export async function probe(
  runRows: RunRows,
  time: number,
  entryChannels: number,
  amplitudes: boolean,
  known?: Pick<ProbeResult, "kernels" | "sources">,
): Promise<ProbeResult | ProbeRefusal> {
  const random = signed(time * 7919 + entryChannels);
  const row = () => new Float64Array(time * entryChannels);
  const impulse = (at: number, weight: () => number) => {
    const values = row();
    for (let c = 0; c < entryChannels; c++) values[at * entryChannels + c] = weight();
    return values;
  };
  const weight = () => (0.5 + Math.abs(random())) * (random() < 0 ? -1 : 1);
  const signalOf = (amplitude: number) => row().map(() => amplitude * random());
  const middle = Math.min(time - 1, Math.floor(time / 3));
  const rows: Row[] = [
    { name: "impulse", code: "mixes-channels", says: "channels influence one another", values: impulse(0, weight) },
    {
      name: "later",
      code: "not-time-invariant",
      says: "an impulse at another position has another response",
      values: impulse(middle, weight),
    },
    {
      name: "last",
      code: "not-causal",
      says: "an impulse at the last position changes earlier ones",
      values: impulse(time - 1, weight),
    },
    {
      name: "dense",
      code: "not-time-invariant",
      says: "a dense signal is not answered by the convolution",
      values: signalOf(1),
    },
    ...(amplitudes ? AMPLITUDES.map((row) => ({ ...row, values: signalOf(row.amplitude) })) : []),
  ];
  const graded = row().map((_, i) => (i < entryChannels ? gradeOf(i, entryChannels) : 0));
  const answers = await runRows([row(), impulse(0, () => 1), graded, ...rows.map((r) => r.values)], time);
  const channels = answers[0]!.length / time;
  if (!Number.isInteger(channels))
    return { code: "mixes-channels", reason: `${entryChannels} channels enter and ${channels} leave`, stage: 0 };

  const bias = answers[0]!.slice(0, channels);
  const spread = largest(answers[0]!, (_, i) => answers[0]![i]! - bias[i % channels]!);
  const loudest = largest(answers[0]!, (value) => value);
  if (spread > 64 * UNIT * loudest)
    return { code: "absolute-position", reason: "adds something that depends on the absolute position", stage: 1 };
  const taps = answers[1]!.map((value, i) => value - bias[i % channels]!);
  if (taps.some((value) => !Number.isFinite(value)))
    return { code: "not-linear", reason: "answers an impulse with NaN or infinity", stage: 1 };
  const kernels: Kernels = { lags: time, channels, taps };
  const sources = sourcesOf(kernels, answers[2]!, bias, entryChannels).map((source, c) => known?.sources[c] ?? source);

  for (const [i, r] of rows.entries()) {
    const refusal = compare(r, answers[i + 3]!, { kernels, bias, sources }, entryChannels, known?.kernels ?? kernels);
    if (refusal) return refusal;
  }
  return { kernels, bias, sources };
}

/** The size of a channel's impulse where each has another: from 1 to 2. */
const gradeOf = (channel: number, entryChannels: number): number => 1 + channel / entryChannels;

/** Which channel enters for each that leaves, by how much larger a graded impulse is than one of ones where its answer is largest. */
function sourcesOf(
  { lags, channels, taps }: Kernels,
  graded: Float64Array,
  bias: Float64Array,
  entryChannels: number,
): Sources {
  return Array.from({ length: channels }, (_, c) => {
    let at = c;
    for (let k = 1; k < lags; k++) if (Math.abs(taps[k * channels + c]!) > Math.abs(taps[at]!)) at = k * channels + c;
    if (taps[at] === 0) return undefined;
    const grade = (graded[at]! - bias[c]!) / taps[at]!;
    return Math.min(entryChannels - 1, Math.max(0, Math.round((grade - 1) * entryChannels)));
  });
}

/** Tells what a difference means: something before the impulse is a look ahead, elsewhere it is what the row tests. */
function compare(
  { name, code, says, values }: Row,
  answer: Float64Array,
  { kernels, bias, sources }: ProbeResult,
  entryChannels: number,
  known: Kernels,
): ProbeRefusal | undefined {
  const { lags: time, channels } = kernels;
  const expected = convolve(values, kernels, entryChannels, sources);
  const first =
    name === "dense" || name === "loud" || name === "soft"
      ? 0
      : Math.floor(values.findIndex((value) => value !== 0) / entryChannels);
  let worst: { i: number; c: number; excess: number } | undefined;
  const [ofTaps, ofInputs] = [energiesOf(known.taps, channels), energiesOf(values, entryChannels)];
  const tolerances = Float64Array.from(sources, (input, c) =>
    toleranceOf(time, Math.sqrt(ofTaps[c]! * (input === undefined ? 0 : ofInputs[input]!)), bias[c]!),
  );
  for (let i = 0, at = 0; i < time; i++)
    for (let c = 0; c < channels; c++, at++) {
      const excess = Math.abs(answer[at]! - bias[c]! - expected[at]!) / tolerances[c]!;
      if (!(excess <= 1) && (!worst || !(excess <= worst.excess))) worst = { i, c, excess };
    }
  if (!worst) return undefined;
  const at = `position ${worst.i}, channel ${worst.c}`;
  if (worst.i < first)
    return {
      code: "not-causal",
      reason: `position ${worst.i} depends on position ${first}, which comes later (channel ${worst.c})`,
      stage: 2,
    };
  if (name === "last") {
    const reason = `an impulse at the last position has another response there than one at the first (${at})`;
    return { code: "not-time-invariant", reason, stage: 3 };
  }
  return {
    code,
    reason: `${says} (${at}: off by ${worst.excess.toPrecision(2)} times what rounding explains)`,
    stage: name === "impulse" ? 3 : name === "later" ? 3 : 4,
  };
}

/**
 * What float32 arithmetic may err by: an FFT of length 2n by about u·log2(2n) of the product of the norms, wherever the
 * result is small as well.
 */
export const toleranceOf = (time: number, norms: number, bias: number): number =>
  16 * UNIT * (Math.log2(2 * time) + 2) * norms + 64 * UNIT * Math.abs(bias) + 1e-36;

/** Causal convolution in float64, [time × channels]. */
export function convolve(
  values: Float64Array,
  { lags, channels, taps }: Kernels,
  entryChannels: number,
  sources: Sources,
): Float64Array {
  const time = values.length / entryChannels;
  const result = new Float64Array(time * channels);
  for (let j = 0; j < time; j++) {
    for (let c = 0; c < channels; c++) {
      const source = sources[c];
      const x = source === undefined ? 0 : values[j * entryChannels + source]!;
      if (x === 0) continue;
      for (let i = j; i < time && i - j < lags; i++) result[i * channels + c]! += taps[(i - j) * channels + c]! * x;
    }
  }
  return result;
}

function largest(values: Float64Array, of: (value: number, i: number) => number): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) max = Math.max(max, Math.abs(of(values[i]!, i)));
  return max;
}
