/** Where a kernel comes from: its first lags, as many as the graph and the memory have, and whether it lives beyond them. */
import type { Claim } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { whereOf } from "../graph/graph.ts";
import type { Graphs } from "../parts/graphs.ts";
import { isFailedRun } from "../parts/open-region.ts";
import type { Proof } from "../prove/prove.ts";
import type { Kernels } from "../solve/form.ts";
import type { TimeFacts } from "../time/follow.ts";
import type { EvaluatedKernels, Evaluation } from "./evaluation.ts";
import { firstAlive, type LagReader, LIFE_LAGS, lookFor, openLags } from "./life.ts";
import { bytesOf, bytesOfLayers, longestWithin } from "./memory.ts";
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

/** Bytes that the tensors of a region may take when it is run for its kernel. */
const KERNEL_BYTES = 2 ** 31;
/** What the rounding of a transform may be in each tap, as a part of what counts for nothing. */
const ROUNDED_PART = 1 / 16;
/** Taps that are read in one run to see whether a kernel lives on. */
const LIFE_TAPS = 2 ** 25;

/** What is known around a region. */
export interface Context {
  readonly graphs: Graphs;
  readonly time: TimeFacts;
  readonly region: Region;
  /** Undefined for a graph of one length. */
  readonly proof: Proof | undefined;
}

/** A source that knows up to how many lags the graph and the memory reach, and that its kernels begin as probed. */
export function sourceOf(context: Context, evaluation: Evaluation, verified: number, claim: Claim): KernelSource {
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
