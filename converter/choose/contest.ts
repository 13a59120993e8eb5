/** Shared poles against poles of each channel's own: which of the two a layer gets, by certified error and by cost. */

import { type Certificate, type CertifyOptions, certify } from "../certify/certify.ts";
import { certifyDiagonal } from "../certify/diagonal.ts";
import { certifyMixed } from "../certify/mixed.ts";
import { type DiagonalReduction, LARGEST_DIAGONAL_ORDER, lookAtChannels } from "../reduce/diagonal.ts";
import { leastSharedOrder } from "../reduce/forecast.ts";
import { type MixedReduction, reduceMixed } from "../reduce/mixed.ts";
import { type Reduction, reduceKernels, type Target } from "../reduce/reduce.ts";
import { unweighed, weighed } from "../solve/channels.ts";
import type { ChannelModal, Kernels, Mixing, Modal } from "../solve/form.ts";

/** What is asked for one layer. */
export interface ContestTask {
  readonly kernels: Kernels;
  /** What each channel's error is weighed with, powers of two; default 1. Certified is the error as it is. */
  readonly weights?: Float64Array | undefined;
  /** For shared poles. */
  readonly shared: Target;
  /** Whether poles of each channel's own may take their place; only where `shared` is a tolerance. */
  readonly diagonal: boolean;
  readonly certify?: CertifyOptions | undefined;
  /** Of kernels that mix channels: one state for all is looked for instead. */
  readonly mixing?: Mixing | undefined;
}

/** What was tried; at most one of the two is met. A certificate goes with what is met. */
export interface ContestResult {
  readonly shared?: { readonly reduction: Reduction; readonly certificate: Certificate | undefined } | undefined;
  readonly diagonal?:
    | { readonly reduction: DiagonalReduction; readonly certificate: Certificate | undefined }
    | undefined;
  /** Of kernels that mix channels. */
  readonly mixed?: { readonly reduction: MixedReduction; readonly certificate: Certificate | undefined } | undefined;
  /** Why shared poles were not tried, in a sentence. */
  readonly because?: string | undefined;
}

/**
 * Shared poles are preferred up to so many times as many states. In ONNX Runtime a state with a pole of its channel's own
 * takes 1.3 times as long, in a step and in a prompt (docs/parts/diagonal.md); the rest of the factor is for its larger
 * tables in the file.
 */
export const DIAGONAL_STATE_COST = 2;

/** Above this least order the search for the smallest one is given up for a single attempt, with one refinement. */
const SEARCHED = 48;

/**
 * Reduces and certifies one layer, the likelier way first; the other only where the first is not within the tolerance.
 * @throws LongConvError as {@link reduceKernels}
 */
export function contest({
  kernels: given,
  weights,
  shared,
  diagonal,
  certify: options,
  mixing,
}: ContestTask): ContestResult {
  if (mixing) {
    const reduction = reduceMixed(given, mixing, shared);
    const certificate = reduction.met ? certifyMixed(given, reduction.modal, options) : undefined;
    return { mixed: { reduction, certificate } };
  }
  const kernels = weights ? weighed(given, weights) : given;
  const asGiven = <Any extends { readonly modal: Modal | ChannelModal }>(reduction: Any): Any =>
    weights ? { ...reduction, modal: unweighed(reduction.modal, weights) } : reduction;
  const withShared = (found: Reduction): ContestResult => {
    const reduction = asGiven(found);
    return { shared: { reduction, certificate: reduction.met ? certify(given, reduction.modal, options) : undefined } };
  };
  if ("order" in shared || !diagonal) return withShared(reduceKernels(kernels, shared));
  const { tolerance, maxOrder = 256 } = shared;
  const most = Math.min(LARGEST_DIAGONAL_ORDER, maxOrder);
  const least = leastSharedOrder(kernels, tolerance, maxOrder);
  const lookout = lookAtChannels(kernels, { tolerance, maxOrder: most });
  const tryShared = (): ContestResult => {
    if (least > maxOrder) return { because: `no ${maxOrder} shared poles follow the kernel` };
    return withShared(reduceWithin(kernels, tolerance, maxOrder, least));
  };
  const tryDiagonal = (from = lookout): ContestResult => {
    const reduction = asGiven(from.reduce());
    const certificate = reduction.met ? certifyDiagonal(given, reduction.modal, options) : undefined;
    return { diagonal: { reduction, certificate } };
  };
  const diagonalFirst = lookout.least <= most && DIAGONAL_STATE_COST * lookout.least < least;
  const first = diagonalFirst ? tryDiagonal() : tryShared();
  if (first.diagonal?.reduction.met) return first;
  if (first.shared?.reduction.met) {
    const { order } = first.shared.reduction;
    // own poles cost less below this
    const fewer = Math.min(most, 2 * Math.ceil(order / (2 * DIAGONAL_STATE_COST) - 1));
    if (lookout.least > fewer) return first;
    const second = tryDiagonal(lookAtChannels(kernels, { tolerance, maxOrder: fewer }));
    return second.diagonal!.reduction.met ? { ...second, because: `shared poles would be ${order}` } : first;
  }
  return { ...first, ...(diagonalFirst ? tryShared() : tryDiagonal()) };
}

/** The smallest order where it is small; else one attempt at a likely order and one at the largest. */
function reduceWithin(kernels: Kernels, tolerance: number, maxOrder: number, least: number): Reduction {
  if (least <= SEARCHED) return reduceKernels(kernels, { tolerance, maxOrder });
  let reduction: Reduction | undefined;
  for (const order of new Set([Math.min(maxOrder, 2 * least), maxOrder])) {
    reduction = reduceKernels(kernels, { order }, { refinements: 1 });
    if (reduction.error <= tolerance) return reduction;
  }
  const reason = `up to ${maxOrder} shared poles leave a relative error of ${reduction!.error.toExponential(1)}`;
  return { ...reduction!, met: false, reason };
}
