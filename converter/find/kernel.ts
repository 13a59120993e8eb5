/** The kernel of a region, and whether the region is this convolution far beyond the lengths at which it was probed. */
import { LongConvError } from "../../src/errors.ts";
import type { Kernels } from "../form.ts";
import { whereOf } from "../onnx/graph.ts";
import type { TimeFacts } from "../time/follow.ts";
import { answerAfar, departure } from "./afar.ts";
import { type EvaluatedKernels, type Evaluation, impulseEvaluation, tensorEvaluations } from "./evaluation.ts";
import type { Graphs } from "./graphs.ts";
import { longestWithin } from "./memory.ts";
import type { ProbeFailure } from "./probe.ts";
import { compareLengths, type Region } from "./region.ts";
import { isFailedRun } from "./respond.ts";

/** Why a kernel has fewer lags than were asked for. */
export type KernelEnd = "exported length" | "table" | "memory";

/** Kernels as a source gives them. */
export interface SourcedKernels extends EvaluatedKernels {
  /** Undefined where as many lags were had as were asked for. */
  readonly end: KernelEnd | undefined;
}

/** Where a kernel comes from. */
export interface KernelSource {
  /** The tensor [lags, channels] or [channels, lags] that was found to hold it; undefined: an impulse through the region. */
  readonly tensor: string | undefined;
  /** Positions over which the region was found to be the convolution with these kernels. */
  readonly verified: number;
  /**
   * The first lags, or as many as can be had.
   * @throws LongConvError depends-on-length where they begin otherwise than at the lengths probed
   */
  at(lags: number): Promise<SourcedKernels>;
}

/** How far a kernel is looked at where the graph gives any number of lags. */
export const LOOKED_AT_LAGS = 4096;
/** Positions over which a region is compared with the convolution, where a horizon needs no more. */
const LEAST_VERIFIED = 1024;
/** Bytes that the tensors of a region may take when it is compared with the convolution, and when it is run for its kernel. */
const VERIFIED_BYTES = 2 ** 29;
const KERNEL_BYTES = 2 ** 31;

/**
 * Finds the source of a region's kernel. A function of the position with one row for each lag whose values are those of
 * the probed impulse response is the kernel itself, free of the transform's rounding, and cheap at any length; whether
 * it is at greater lengths too, and whether the region is a convolution there, is seen by running it.
 * @param horizon lags that will be used; undefined: until the kernel has died away
 * @throws LongConvError not-time-invariant where the region is no such convolution at a greater length, nor up to the
 * horizon
 */
export async function kernelSource(
  graphs: Graphs,
  time: TimeFacts,
  region: Region,
  horizon?: number,
): Promise<KernelSource> {
  const impulse = impulseEvaluation(graphs, region);
  if (region.maxLags !== undefined) return sourceOf(graphs, region, impulse, region.maxLags);
  const wanted = horizon === undefined ? LOOKED_AT_LAGS : Math.max(LEAST_VERIFIED, 2 * horizon);
  const length = Math.min(powerBelow(wanted), LOOKED_AT_LAGS, longestWithin(graphs, region, VERIFIED_BYTES));
  const evaluations = [...(await tensorEvaluations(graphs, time, region)), impulse];
  const far = await verifiedSource(graphs, region, evaluations, length);
  if (!("code" in far)) return far;
  // a graph that is right up to the horizon is all that was asked for
  const near = horizon === undefined ? length : Math.min(length, powerBelow(horizon));
  const source = near < length ? await verifiedSource(graphs, region, evaluations, near) : far;
  if (!("code" in source)) return source;
  const remedy = "If it is right for shorter sequences, ask for a horizon of that many lags.";
  throw new LongConvError(far.code, far.reason, whereOf(graphs.model, region.opening), remedy);
}

const powerBelow = (length: number): number => 2 ** Math.floor(Math.log2(length));

/** The first way to evaluate the kernels with which the region is a convolution at a length, or how it departs from it. */
async function verifiedSource(
  graphs: Graphs,
  region: Region,
  evaluations: readonly Evaluation[],
  length: number,
): Promise<KernelSource | ProbeFailure> {
  let answer: Awaited<ReturnType<typeof answerAfar>>;
  let failure: ProbeFailure | undefined;
  for (const evaluation of evaluations) {
    const source = sourceOf(graphs, region, evaluation, answer?.time ?? region.probed.lags);
    const kernels = await source.at(answer?.time ?? length);
    answer ??= await answerAfar(graphs, region, kernels);
    if (!answer) return source;
    const apart = departure(region, kernels, answer);
    if (!apart) return { ...source, verified: answer.time };
    failure ??= apart;
  }
  return failure!;
}

/** A source that knows up to how many lags the graph and the memory reach, and that its kernels begin as probed. */
function sourceOf(graphs: Graphs, region: Region, { tensor, at }: Evaluation, verified: number): KernelSource {
  const inMemory = tensor === undefined ? longestWithin(graphs, region, KERNEL_BYTES) : Infinity;
  let [most, end]: [number, KernelEnd] =
    region.maxLags === undefined ? [inMemory, "memory"] : [region.maxLags, "exported length"];
  const begun = async (lags: number): Promise<EvaluatedKernels> => {
    const kernels = await at(lags);
    refuseUnbounded(graphs, region, kernels);
    const failure = compareLengths(region.probed, kernels);
    if (failure) throw new LongConvError(failure.code, failure.reason, whereOf(graphs.model, region.opening));
    return kernels;
  };
  return {
    tensor,
    verified,
    async at(lags) {
      const asked = Math.min(lags, most);
      let kernels = await begun(asked).catch(ifItFails);
      if (!kernels) {
        [kernels, end] = [await furthest(begun, Math.min(region.probed.lags, asked), asked), "table"];
        most = kernels.lags;
      }
      return { ...kernels, end: kernels.lags < lags ? end : undefined };
    },
  };
}

/** @throws LongConvError no-horizon where a tap is not finite: a kernel that grows without bound has no state */
function refuseUnbounded({ model }: Graphs, { opening }: Region, { channels, taps }: Kernels): void {
  let first = 0;
  while (first < taps.length && Number.isFinite(taps[first])) first++;
  if (first === taps.length) return;
  const reason = `its kernel grows without bound: that of channel ${first % channels} is not finite at lag ${Math.floor(first / channels)}`;
  const remedy = "A state carries kernels that stay bounded: a decay must be at most 1.";
  throw new LongConvError("no-horizon", reason, whereOf(model, opening), remedy);
}

/** The most lags that can be evaluated: more than `fails` cannot. */
async function furthest(
  at: (lags: number) => Promise<EvaluatedKernels>,
  works: number,
  fails: number,
): Promise<EvaluatedKernels> {
  let kernels: EvaluatedKernels | undefined;
  while (fails - works > 1) {
    const middle = Math.floor((works + fails) / 2);
    const taken = await at(middle).catch(ifItFails);
    if (taken) [works, kernels] = [middle, taken];
    else fails = middle;
  }
  return kernels ?? at(works);
}

function ifItFails(error: unknown): undefined {
  if (!isFailedRun(error)) throw error;
}
