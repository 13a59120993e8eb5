/** The kernel of a region, and whether the region is this convolution far beyond the lengths at which it was probed. */
import type { Claim } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { whereOf } from "../graph/graph.ts";
import type { Graphs } from "../parts/graphs.ts";
import { answerAfar, departure } from "./afar.ts";
import { onBasis } from "./basis.ts";
import { type Evaluation, impulseEvaluation, tensorEvaluations } from "./evaluation.ts";
import { compareWidely, SEEN_POSITIONS } from "./evidence.ts";
import type { Found } from "./found.ts";
import { bytesOf, longestWithin } from "./memory.ts";
import type { ProbeRefusal } from "./probe.ts";
import type { Region } from "./region.ts";
import { type Context, type KernelSource, sourceOf } from "./source.ts";

/** How far a kernel is looked at where the graph gives any number of lags. */
export const LOOKED_AT_LAGS = 4096;
/** Positions over which a region is compared with the convolution, where a horizon needs no more. */
const LEAST_VERIFIED = 1024;
/** Bytes that the tensors of a region may take when it is compared with the convolution. */
const VERIFIED_BYTES = 2 ** 29;
/** Bytes that a region may take where it is compared instead of proven: at more positions, so with more memory. */
const SEEN_BYTES = 2 ** 30;

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
