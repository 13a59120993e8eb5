/** The kernel of a region, and whether the region is this convolution far beyond the lengths at which it was probed. */
import type { Claim } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { whereOf } from "../graph/graph.ts";
import type { Graphs } from "../parts/graphs.ts";
import { isFailedRun } from "../parts/open-region.ts";
import type { Proof } from "../prove/prove.ts";
import type { Kernels } from "../solve/form.ts";
import type { TimeFacts } from "../time/follow.ts";
import { answerAfar, departure } from "./afar.ts";
import { onBasis } from "./basis.ts";
import { type EvaluatedKernels, type Evaluation, impulseEvaluation, tensorEvaluations } from "./evaluation.ts";
import { compareWidely, SEEN_POSITIONS } from "./evidence.ts";
import type { Found } from "./found.ts";
import { firstAlive, type LagReader, LIFE_LAGS, lookFor, openLags } from "./life.ts";
import { bytesOf, bytesOfLayers, longestWithin } from "./memory.ts";
import type { ProbeRefusal } from "./probe.ts";
import { compareLengths, type Region } from "./region.ts";

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
  /** How far the region is this convolution. */
  readonly claim: Claim;
  /** Lags from which on the kernel is 0 by rule; undefined: none is known. */
  readonly reach: number | undefined;
  /**
   * The first lags, or as many as can be had.
   * @throws LongConvError depends-on-length where they begin otherwise than at the lengths probed
   */
  at(lags: number): Promise<SourcedKernels>;
  /**
   * Looks whether the kernel lives beyond the lags that were read, to {@link LIFE_LAGS} where that can be had.
   * @param from the first lag to look at
   * @param limits what a tap of each channel may be
   */
  lifeBeyond(from: number, limits: Float64Array): Promise<Life>;
}

/** What was seen of a kernel that seemed dead. */
export interface Life {
  /** The first lag at which it was seen to live; undefined: none. */
  readonly lag: number | undefined;
  /** Lags that were looked at. */
  readonly to: number;
}

/** How far a kernel is looked at where the graph gives any number of lags. */
export const LOOKED_AT_LAGS = 4096;
/** Positions over which a region is compared with the convolution, where a horizon needs no more. */
const LEAST_VERIFIED = 1024;
/** Bytes that the tensors of a region may take when it is compared with the convolution, and when it is run for its kernel. */
const VERIFIED_BYTES = 2 ** 29;
const KERNEL_BYTES = 2 ** 31;
/** Bytes that a region may take where it is compared instead of proven: at more positions, so with more memory. */
const SEEN_BYTES = 2 ** 30;
/** What the rounding of a transform may be in each tap, as a part of what counts for nothing. */
const ROUNDED_PART = 1 / 16;
/** Taps that are read in one run to see whether a kernel lives on. */
const LIFE_TAPS = 2 ** 25;

/**
 * Finds the source of a region's kernel. A function of the position with one row for each lag whose values are those of
 * the probed impulse response is the kernel itself, free of the transform's rounding, and cheap at any length; whether
 * it is at greater lengths too, and whether the region is a convolution there, is seen by running it.
 * @param horizon lags that will be used; undefined: until the kernel has died away
 * @throws LongConvError not-time-invariant where the region is no such convolution at a greater length, nor up to the
 * horizon
 */
export async function kernelSource(
  { graphs, time, proofs }: Pick<Found, "graphs" | "time" | "proofs">,
  region: Region,
  horizon?: number,
): Promise<KernelSource> {
  const impulse = impulseEvaluation(graphs, region);
  const proof = proofs.regions.get(region);
  const context: Context = { graphs, time, region, proof };
  const { name } = region.opening;
  if (region.maxLags !== undefined) return ofOneLength(context, impulse, region.maxLags);
  const wanted = horizon === undefined ? LOOKED_AT_LAGS : Math.max(LEAST_VERIFIED, 2 * horizon);
  const length = Math.min(powerBelow(wanted), LOOKED_AT_LAGS, longestWithin(bytesOf(graphs, region), VERIFIED_BYTES));
  // what agrees on the lags probed need not be the kernel: rules say which tensor is
  const mayHold = (tensor: string) => !proof?.proven || proof.kernel.tensors.has(tensor);
  const evaluations = [...(await tensorEvaluations(graphs, time, region, mayHold)), impulse];
  const far = await verifiedSource(context, evaluations, length);
  if (!("code" in far)) return proof?.proven ? far : widelySeen(context, far, horizon);
  // a graph that is right up to the horizon is all that was asked for
  const near = horizon === undefined ? length : Math.min(length, powerBelow(horizon));
  const source = near < length ? await verifiedSource(context, evaluations, near) : far;
  if (!("code" in source)) {
    const because = `beyond ${near} positions it is no convolution with this kernel: ${far.reason}`;
    return { ...source, claim: { kind: "ends", positions: near, node: name, because } };
  }
  throw notTheSame(graphs, region, far);
}

/** Of a graph of one length: everything where it was answered on a basis, else as the probes have seen it. */
async function ofOneLength(context: Context, impulse: Evaluation, length: number): Promise<KernelSource> {
  const { graphs, region } = context;
  const ends = {
    positions: length,
    node: region.opening.name,
    because: `the graph was exported for ${length} positions`,
  };
  const seen = sourceOf(context, impulse, length, { kind: "ends", ...ends });
  const answered = await onBasis(graphs, region, await seen.at(length));
  if (typeof answered === "object") throw notTheSame(graphs, region, answered);
  return answered === "all" ? sourceOf(context, impulse, length, { kind: "proven", ...ends }) : seen;
}

/** What is known around a region. */
interface Context {
  readonly graphs: Graphs;
  readonly time: TimeFacts;
  readonly region: Region;
  /** Undefined for a graph of one length. */
  readonly proof: Proof | undefined;
}

const notTheSame = ({ model }: Graphs, { opening }: Region, { code, reason }: ProbeRefusal): LongConvError =>
  new LongConvError(
    code,
    reason,
    whereOf(model, opening),
    "If it is right for shorter sequences, ask for a horizon of that many lags.",
  );

/** A source whose region no rule proves, compared as widely as is affordable; it is claimed that far. */
async function widelySeen(context: Context, source: KernelSource, horizon: number | undefined): Promise<KernelSource> {
  const { graphs, region, proof } = context;
  const longest = Math.min(SEEN_POSITIONS, longestWithin(bytesOf(graphs, region), SEEN_BYTES));
  const kernels = await source.at(longest);
  const seen = await compareWidely(graphs, region, kernels);
  const { name } = region.opening;
  if ("code" in seen) {
    // asked for no more than what is right
    if (horizon === undefined || seen.length <= horizon || seen.code === "mixes-batch")
      throw notTheSame(graphs, region, seen);
    const because = `at ${seen.length} positions it is no convolution with this kernel: ${seen.reason}`;
    return { ...source, claim: { kind: "ends", positions: horizon, node: name, because } };
  }
  const { positions, rows, failsAt } = seen;
  if (failsAt !== undefined) {
    const because = `at ${failsAt} positions the graph cannot be run, or gives fewer than it takes`;
    return { ...source, claim: { kind: "ends", positions, rows, node: name, because } };
  }
  const why = proof && !proof.proven ? proof : { node: region.opening, because: "no rule proves it" };
  return { ...source, claim: { kind: "seen", positions, rows, node: why.node.name, because: why.because } };
}

const powerBelow = (length: number): number => 2 ** Math.floor(Math.log2(length));

/** The first way to evaluate the kernels with which the region is a convolution at a length, or how it departs from it. */
async function verifiedSource(
  context: Context,
  evaluations: readonly Evaluation[],
  length: number,
): Promise<KernelSource | ProbeRefusal> {
  const { graphs, region, proof } = context;
  const proven: Claim =
    proof?.proven && proof.ends
      ? {
          kind: "proven",
          positions: proof.ends.positions,
          node: region.opening.name,
          because: `the graph ${proof.ends.because}`,
        }
      : { kind: "proven" };
  let answer: Awaited<ReturnType<typeof answerAfar>>;
  let refusal: ProbeRefusal | undefined;
  for (const evaluation of evaluations) {
    const source = sourceOf(context, evaluation, answer?.time ?? region.probed.lags, proven);
    const kernels = await source.at(answer?.time ?? length);
    answer ??= await answerAfar(graphs, region, kernels);
    if (!answer) return source;
    const apart = departure(region, kernels, answer);
    if (!apart) return { ...source, verified: answer.time };
    refusal ??= apart;
  }
  return refusal!;
}

/** A source that knows up to how many lags the graph and the memory reach, and that its kernels begin as probed. */
function sourceOf(context: Context, evaluation: Evaluation, verified: number, claim: Claim): KernelSource {
  const { graphs, time, region, proof } = context;
  const { holder, at } = evaluation;
  const tensor = holder?.tensor;
  const bytesFor = tensor === undefined ? bytesOf(graphs, region) : bytesOfLayers(graphs, tensor);
  const inMemory = bytesFor ? longestWithin(bytesFor, KERNEL_BYTES) : Infinity;
  let [most, end]: [number, KernelEnd] =
    region.maxLags === undefined ? [inMemory, "memory"] : [region.maxLags, "exported length"];
  let longest: (Omit<EvaluatedKernels, "taps"> & { readonly taps: WeakRef<Float64Array> }) | undefined;
  const begun = async (lags: number): Promise<EvaluatedKernels> => {
    // what was read once is not computed again as long as anybody holds it
    const taps = longest?.taps.deref();
    if (longest && taps && lags <= longest.lags)
      return { ...longest, lags, taps: taps.slice(0, lags * longest.channels) };
    const kernels = await at(lags);
    longest = { ...kernels, taps: new WeakRef(kernels.taps) };
    refuseUnbounded(graphs, region, kernels);
    const refusal = compareLengths(region.probed, kernels);
    if (refusal) throw new LongConvError(refusal.code, refusal.reason, whereOf(graphs.model, region.opening));
    return kernels;
  };
  const read = async (lags: number): Promise<SourcedKernels> => {
    const asked = Math.min(lags, most);
    let kernels = await begun(asked).catch(ifItFails);
    if (!kernels) {
      [kernels, end] = [await furthest(begun, Math.min(region.probed.lags, asked), asked), "table"];
      most = kernels.lags;
    }
    return { ...kernels, end: kernels.lags < lags ? end : undefined };
  };
  return {
    tensor,
    verified,
    claim,
    reach: proof?.proven ? proof.reach : undefined,
    at: read,
    async lifeBeyond(from, limits) {
      const reader = holder && (await openLags(graphs, time, holder));
      try {
        if (reader && (await readsLike(reader, region.probed)))
          return { lag: await firstAlive(reader, from, limits), to: LIFE_LAGS };
      } finally {
        await reader?.close();
      }
      const affordable = Math.floor(LIFE_TAPS / region.channels);
      const { lags, channels, taps } = await read(Math.max(from, Math.min(LIFE_LAGS, affordable)));
      const rest = lookFor(limits, ROUNDED_PART);
      const at = rest.firstAlive(taps.subarray(from * channels), 1);
      return { lag: at === undefined ? undefined : from + at, to: lags };
    },
  };
}

/** Whether single lags are read as they were probed: all but the first, which may have a skip term. */
async function readsLike(reader: LagReader, { lags, channels, taps }: Kernels): Promise<boolean> {
  const places = Array.from({ length: lags - 1 }, (_, i) => 1 + ((i * 7) % (lags - 1)));
  const read = await reader.read(places);
  const largest = new Float64Array(channels);
  for (let i = 0; i < taps.length; i++) largest[i % channels] = Math.max(largest[i % channels]!, Math.abs(taps[i]!));
  return (
    read.length === places.length * channels &&
    places.every((lag, i) =>
      Array.from({ length: channels }, (_, c) => Math.abs(read[i * channels + c]! - taps[lag * channels + c]!)).every(
        (apart, c) => apart <= 1e-4 * largest[c]!,
      ),
    )
  );
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
