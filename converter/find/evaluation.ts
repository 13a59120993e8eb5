/** Ways to evaluate a region's kernel at any number of lags: tensors of the graph that hold it, and an impulse. */

import { toNumbers } from "../graph/tensor.ts";
import type { Graphs } from "../parts/graphs.ts";
import { isFailedRun, openKernels } from "../parts/open-region.ts";
import { evaluatePosition } from "../parts/position-rows.ts";
import type { Seen } from "../parts/seen-shapes.ts";
import type { Kernels } from "../solve/form.ts";
import type { TimeFacts } from "../time/follow.ts";
import type { Region } from "./region.ts";

/** Kernels with what is known of their zeros. */
export interface EvaluatedKernels extends Kernels {
  /** Read off a response: a zero may be the rounding of a transform. */
  readonly rounded: boolean;
}

/** One way. */
export interface Evaluation {
  /** The tensor that holds the kernel; undefined: an impulse through the region. */
  readonly holder: KernelTensor | undefined;
  /** @throws LongConvError runtime-failed where the graph cannot be run at so many positions */
  at(lags: number): Promise<EvaluatedKernels>;
}

/** The tensors whose rows are the probed impulse response, of those that may hold a kernel. */
export async function tensorEvaluations(
  graphs: Graphs,
  time: TimeFacts,
  region: Region,
  mayHold: (tensor: string) => boolean,
): Promise<Evaluation[]> {
  const found: Evaluation[] = [];
  for (const candidate of kernelCandidates(graphs, time, region)) {
    if (!mayHold(candidate.tensor)) continue;
    const direct = matches(await evaluate(graphs, candidate, region.probed.lags), region.probed);
    if (!direct) continue;
    const at = async (lags: number) => {
      const kernels = await evaluate(graphs, candidate, lags);
      // a table that ends before the sequence does has fewer rows than asked for
      return kernels.taps.length === lags * region.channels
        ? { ...withDirect(kernels, direct), rounded: false }
        : byImpulse(graphs, region, lags);
    };
    found.push({ holder: candidate, at });
  }
  return found;
}

/** An impulse through the region. */
export const impulseEvaluation = (graphs: Graphs, region: Region): Evaluation => ({
  holder: undefined,
  at: (lags) => byImpulse(graphs, region, lags),
});

/** A function of the position that may be a kernel. */
export interface KernelTensor {
  readonly tensor: string;
  /** Time comes before the channels. */
  readonly timeFirst: boolean;
  readonly channels: number;
}

/** Functions of the position that reach into the region and have one row or column for each position. */
function kernelCandidates({ index, shapes }: Graphs, time: TimeFacts, region: Region): KernelTensor[] {
  const found: KernelTensor[] = [];
  const visited = new Set<string>();
  const queue = [...region.nodes].flatMap((node) => node.inputs);
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (visited.has(name) || time.facts.get(name)?.kind !== "position") continue;
    visited.add(name);
    const seen = shapes.seen.get(name);
    const timeFirst =
      seen &&
      orientation(
        seen,
        shapes.runs.map((run) => run.time),
        region.channels,
      );
    if (timeFirst !== undefined) found.push({ tensor: name, timeFirst, channels: region.channels });
    queue.push(...(index.producer.get(name)?.inputs ?? []));
  }
  return found;
}

/** Whether a tensor is [time, channels] (true) or [channels, time] (false), axes of size 1 aside. */
function orientation(seen: Seen, lengths: readonly number[], channels: number): boolean | undefined {
  const fits = (arrange: (time: number) => number[]) =>
    lengths.every((length, run) => {
      const dims = seen.dims[run]!.filter((size) => size !== 1);
      const wanted = arrange(length).filter((size) => size !== 1);
      const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
      const place = dims.indexOf(length);
      if (place < 0 || product(dims) !== product(wanted)) return false;
      return wanted[0] === length ? place === 0 : place === dims.length - 1;
    });
  if (fits((time) => [time, channels])) return true;
  return fits((time) => [channels, time]) ? false : undefined;
}

async function evaluate(graphs: Graphs, holder: KernelTensor, lags: number): Promise<Kernels> {
  const values = toNumbers(await evaluatePosition(graphs, holder.tensor, lags));
  return { lags, channels: holder.channels, taps: tapsIn(holder, values, lags) };
}

/** Values of a tensor that holds a kernel as taps [lags × channels]. */
export function tapsIn({ timeFirst, channels }: KernelTensor, values: Float64Array, lags: number): Float64Array {
  if (timeFirst) return values;
  const taps = new Float64Array(values.length);
  for (let c = 0; c < channels; c++) for (let k = 0; k < lags; k++) taps[k * channels + c] = values[c * lags + k]!;
  return taps;
}

/** What lag 0 has beyond the candidate (a skip term), if all other lags agree to what the transform rounds. */
function matches(candidate: Kernels, probed: Kernels): Float64Array | undefined {
  const { lags, channels, taps } = probed;
  if (candidate.taps.length !== taps.length) return undefined;
  const direct = new Float64Array(channels);
  for (let c = 0; c < channels; c++) {
    let norm = 0;
    for (let k = 0; k < lags; k++) norm += taps[k * channels + c]! ** 2;
    const tolerance = 64 * 2 ** -24 * (Math.sqrt(norm) + 1e-30);
    for (let k = 0; k < lags; k++) {
      const difference = taps[k * channels + c]! - candidate.taps[k * channels + c]!;
      if (k === 0) direct[c] = Math.abs(difference) <= tolerance ? 0 : difference;
      else if (!(Math.abs(difference) <= tolerance)) return undefined;
    }
  }
  return direct;
}

function withDirect(kernels: Kernels, direct: Float64Array): Kernels {
  for (let c = 0; c < kernels.channels; c++) kernels.taps[c]! += direct[c]!;
  return kernels;
}

/** One run with an impulse in every channel, at a power of two, where ORT's DFT is precise, if the graph reaches so far. */
async function byImpulse(graphs: Graphs, region: Region, lags: number): Promise<EvaluatedKernels> {
  if (region.maxLags !== undefined) return impulseAt(graphs, region, region.maxLags, lags);
  const time = 2 ** Math.ceil(Math.log2(Math.max(lags, region.probed.lags)));
  return impulseAt(graphs, region, time, lags).catch((error: unknown) => {
    if (time === lags || !isFailedRun(error)) throw error;
    return impulseAt(graphs, region, Math.max(lags, region.probed.lags), lags);
  });
}

async function impulseAt(graphs: Graphs, region: Region, time: number, lags: number): Promise<EvaluatedKernels> {
  const { entryChannels, channels, bias } = region;
  const row = new Float64Array(time * entryChannels).fill(1, 0, entryChannels);
  const opened = await openKernels(graphs, region);
  try {
    const [answer] = await opened.runRows([row], time);
    const taps = answer!.slice(0, lags * channels);
    if (bias) for (let i = 0; i < taps.length; i++) taps[i]! -= bias[i % channels]!;
    return { lags, channels, taps, rounded: true };
  } finally {
    await opened.close();
  }
}
