/** Which recurrent form takes a convolution's place: by certified error first, by cost second. */
import { type Claim, leastClaim } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Certificate } from "../certify/certify.ts";
import { roundoffReach } from "../certify/reach.ts";
import type { Candidate } from "../find/candidates.ts";
import type { SourcedKernels } from "../find/kernel.ts";
import type { Region } from "../find/region.ts";
import type { Reduction, Target } from "../reduce/reduce.ts";
import { estimateDecay } from "../solve/decay.ts";
import { solveEtsc } from "../solve/etsc.ts";
import { solveError } from "../solve/evaluate.ts";
import {
  evened,
  type Form,
  type Kernels,
  largestModulus,
  type Mixing,
  orderOf,
  stateChannels,
  stateOrder,
} from "../solve/form.ts";
import { mixedOf } from "../solve/mixed.ts";
import { endOf } from "./afterwards.ts";
import type { ContestResult } from "./contest.ts";
import { type Extent, extentOf } from "./extent.ts";
import { checkedHorizon, firstLags, horizonOf, NEGLIGIBLE, restAfter } from "./horizon.ts";
import { contestLayers } from "./layers.ts";
import { shareOf } from "./share.ts";

export interface ChooseOptions {
  /** Full-order ETSC instead of compact states. Default false. */
  readonly exact?: boolean | undefined;
  /**
   * Relative error that compact states may have: of each layer's kernels, default {@link DEFAULT_TOLERANCE}, or, by `budget`, of the
   * outputs, default {@link DEFAULT_OUTPUT_TOLERANCE}.
   */
  readonly tolerance?: number | undefined;
  /**
   * What the tolerance is about. `kernels`: every layer's by itself. `outputs`: one error of the model's outputs (root mean square),
   * shared among layers and channels by what each does to the outputs on random inputs; measured, not proven. Default `kernels`.
   */
  readonly budget?: Budget | undefined;
  /** Order of every compact state, instead of a tolerance. */
  readonly order?: number | undefined;
  /** Bytes of state of one sequence, float32, instead of a tolerance: every layer gets the same order. */
  readonly maxState?: number | undefined;
  /** Lags that the form reproduces. Default: until the kernel has died away; see {@link horizonOf}. */
  readonly horizon?: number | undefined;
  /** Length that the model was trained with, where a configuration says so: the exact form's horizon. */
  readonly trainingLength?: number | undefined;
  /** Threads that reduce layers. */
  readonly threads?: number | undefined;
}

/** What a tolerance may be about. */
export const BUDGETS = ["kernels", "outputs"] as const;
export type Budget = (typeof BUDGETS)[number];

/** A form with what is known of it. */
export interface Chosen {
  readonly form: Form;
  /** Lags over which `error` is measured. */
  readonly lags: number;
  /** How far the form is right, if the region is this convolution: beyond its lags only where the kernel has died away. */
  readonly claim: Claim;
  /** Whether the kernel can be read at more lags. */
  readonly extendable: boolean;
  /** Relative error of the form's kernels over these lags, Frobenius norm, float64. */
  readonly error: number;
  /** Why this form and this horizon, in a sentence. */
  readonly because: string;
  /** What remains of the first lag when the exact form wraps around; 0 for forms that do not. */
  readonly wrapAround: number;
  readonly reduction?: Reduction | undefined;
  readonly certificate?: Certificate | undefined;
}

/** Chosen on the curve of state size against agreement, docs/parts/reduction.md. */
export const DEFAULT_TOLERANCE = 1e-5;
/** The same of the outputs. */
export const DEFAULT_OUTPUT_TOLERANCE = 3.5e-5;

/** The tolerance that is asked for, or the default of what it is about. */
export const toleranceOf = ({ tolerance, budget }: Pick<ChooseOptions, "tolerance" | "budget">): number =>
  tolerance ?? (budget === "outputs" ? DEFAULT_OUTPUT_TOLERANCE : DEFAULT_TOLERANCE);

/** Windows of at most so many lags are carried as they are: a handful of products is as cheap as any recurrence. */
const SHORT_LAGS = 16;
/** Windows of more lags are not carried. */
const LONGEST_WINDOW = 2 ** 15;
/** Beyond this a compact state saves little of what the exact form carries, and the reduction's own cost grows as its cube. */
const LARGEST_ORDER = 128;

/** States at most that all channels share. */
const LARGEST_MIXED = 256;

/** Channels on the side where they are fewer. */
const fewest = ({ inputs, outputs }: Mixing): number => Math.min(inputs, outputs);

/** Channels that a state has for each of its orders. */
const columnsOf = ({ channels, mixing }: Region): number => (mixing ? fewest(mixing) : channels);

/** Numbers that a form carries for each sequence. */
const numbersOf = (form: Form): number => stateOrder(form) * stateChannels(form);

/** Kernels of all layers are kept between planning and reducing up to this size, else evaluated again. */
const KEPT_BYTES = 256e6;

/** What to reduce. */
interface ToReduce {
  readonly target: Target;
  /** What errors of its channels are weighed with. */
  readonly weights: Float64Array | undefined;
  /** How far a compact form is right. */
  readonly claim: Claim;
  /** Kernels over the compact form's horizon. */
  kernels(): Promise<Kernels>;
}

/** What is decided of a layer before anything is reduced. */
interface Plan extends Candidate {
  readonly extent: Omit<Extent, "seen">;
  /** Why the kernel cannot be read further, where it cannot. */
  readonly end: SourcedKernels["end"];
  /** The kernel, over all lags that were read at once. */
  seen(): Promise<SourcedKernels>;
  /** A kernel that ends, as it is. */
  readonly window: Chosen | undefined;
  /** Undefined where the layer is not reduced at all. */
  readonly reduce: ToReduce | undefined;
}

/** What is known of the layers before forms are chosen. */
export interface Beforehand {
  /** Extents that were read before, with the defaults of {@link extentOf}. */
  readonly extents?: ReadonlyMap<Region, Extent> | undefined;
  /** By channel, what the outputs change by for an error of norm 1 in its kernel, where the budget is of the outputs. */
  readonly gains?: ReadonlyMap<Region, Float64Array> | undefined;
}

/** The forms of all layers, in their order. */
export async function chooseForms(
  candidates: readonly Candidate[],
  options: ChooseOptions,
  onProgress?: (done: number, total: number) => void,
  known: Beforehand = {},
): Promise<Chosen[]> {
  const channels = candidates.reduce((sum, { region }) => sum + columnsOf(region), 0);
  const plans: Plan[] = [];
  const room = KEPT_BYTES / candidates.length;
  for (const candidate of candidates) plans.push(await planOf(candidate, options, { channels, room }, known));
  const reducible = plans.filter((plan) => plan.reduce);
  const tasks = reducible.map(({ region, reduce, window }) => async () => ({
    kernels: await reduce!.kernels(),
    weights: reduce!.weights,
    shared: reduce!.target,
    own: "tolerance" in reduce!.target,
    mixing: region.mixing,
    certify: { beyond: window ? ("zero" as const) : ("unknown" as const) },
  }));
  const threads = options.threads === undefined ? {} : { threads: options.threads };
  const results = await contestLayers(tasks, { progress: onProgress, ...threads });
  const chosen: Chosen[] = [];
  for (const plan of plans) {
    const at = reducible.indexOf(plan);
    chosen.push(withRounding(await decide(plan, at < 0 ? undefined : results[at], options), plan));
  }
  return chosen;
}

/** A form of low order where one is within the tolerance and smaller than a window; else what is exact. */
async function decide(plan: Plan, result: ContestResult | undefined, options: ChooseOptions): Promise<Chosen> {
  const { window } = plan;
  const reduction = result?.shared?.reduction;
  const found = lowOrderForm(plan, result, options);
  const ends = found && endOf(found, { ...plan, seen: await plan.seen() }, toleranceOf(options));
  const isAsked = options.order !== undefined || options.maxState !== undefined;
  const low =
    found && ends && isAsked ? { ...found, claim: leastClaim([found.claim, ends]) } : ends ? undefined : found;
  if (low && (!window || numbersOf(low.form) < numbersOf(window.form))) return low;
  if (window) return { ...window, reduction };
  const exact = await exactForm(plan, options);
  if (!result) return exact;
  const shared = ends?.because ?? result.because ?? reduction?.reason;
  const reasons = [shared, result.own?.reduction.reason, result.mixed?.reduction.reason];
  const why = reasons.filter(Boolean).join("; ");
  return {
    ...exact,
    because: `${why || `no order up to ${LARGEST_ORDER} is within the tolerance`}; ${exact.because}`,
    reduction,
  };
}

/** Rounding may be so large a part of the outputs before a claim ends. */
const ROUNDING = 1e-3;
/** Rounding grows without bound, or for very long, where a pole is nearer to the unit circle than this. */
const UNDAMPED = 1e-4;

/** A claim that ends where rounding in float32, which grows where poles are not damped, is expected to count. */
function withRounding(chosen: Chosen, { region }: Plan): Chosen {
  if (largestModulus(chosen.form) < 1 - UNDAMPED) return chosen;
  const { expected } = roundoffReach(chosen.form, ROUNDING);
  if (expected === Infinity) return chosen;
  const because = `rounding in float32 is expected to be ${ROUNDING} of its outputs there, since its state is not damped`;
  const ends: Claim = { kind: "ends", positions: expected, node: region.opening.name, because };
  return { ...chosen, claim: leastClaim([chosen.claim, ends]) };
}

/** Shared poles or poles of each channel's own, whichever is met. */
function lowOrderForm(
  { reduce, end }: Plan,
  { shared, own, mixed, because }: ContestResult = {},
  { order, maxState }: ChooseOptions,
): Chosen | undefined {
  const chosen = (form: Form & { lags: number }, certificate: Certificate, why: string): Chosen => ({
    form,
    lags: form.lags,
    claim: reduce!.claim,
    extendable: end === undefined,
    error: certificate.layer.relative,
    because: why,
    wrapAround: 0,
    reduction: shared?.reduction,
    certificate,
  });
  if (shared?.reduction.met && shared.certificate) {
    const { reduction, certificate } = shared;
    const lags = certificate.horizon;
    // an order or a size that was asked for is kept; else a state more costs less than an odd number of them
    const free = order === undefined && maxState === undefined;
    const modal = free ? evened(reduction.modal) : reduction.modal;
    const one = orderOf(modal) > reduction.order ? " and one more state, for an even number," : "";
    const why = `${reduction.order} shared poles${one} follow the kernel over ${lags} lags`;
    return chosen({ kind: "compact", modal, lags }, certificate, why);
  }
  if (own?.reduction.met && own.certificate) {
    const { reduction, certificate } = own;
    const lags = certificate.horizon;
    const instead = because ?? (shared ? shared.reduction.reason : undefined);
    const why = `${reduction.order} poles of each channel's own follow the kernel over ${lags} lags`;
    const form = { kind: "diagonal", modal: reduction.modal, lags } as const;
    return chosen(form, certificate, instead ? `${why}; ${instead}` : why);
  }
  if (mixed?.reduction.met && mixed.certificate) {
    const { reduction, certificate } = mixed;
    const lags = certificate.horizon;
    const { inputs, outputs } = reduction.modal;
    const why = `${reduction.order} states, shared by the ${inputs} channels that enter and the ${outputs} that leave, follow the kernels over ${lags} lags`;
    return chosen({ kind: "mixed", modal: reduction.modal, lags }, certificate, why);
  }
  return undefined;
}

async function planOf(
  candidate: Candidate,
  options: ChooseOptions,
  { channels, room }: { readonly channels: number; readonly room: number },
  { extents, gains }: Beforehand,
): Promise<Plan> {
  const { region, source } = candidate;
  const { exact, horizon } = options;
  const negligible = Math.min(NEGLIGIBLE, toleranceOf(options) / 10);
  const usual = horizon === undefined && negligible === NEGLIGIBLE ? extents?.get(region) : undefined;
  const whole = usual ?? (await extentOf(source, region, { horizon, negligible }));
  const { seen, ...extent } = whole;
  const { finite, died } = extent;
  const { lags: looked, end } = seen;
  const held = seen.taps.byteLength <= room ? seen : undefined;
  const { mixing } = region;
  const window =
    finite === undefined || finite > LONGEST_WINDOW ? undefined : windowForm(seen, finite, extent.claim, mixing);
  const plan = { ...candidate, extent, end, seen: async () => held ?? source.at(looked), window };
  if (exact || (finite !== undefined && finite <= SHORT_LAGS)) return { ...plan, reduce: undefined };
  const lags =
    horizon === undefined
      ? finite === undefined
        ? died
        : Math.min(seen.lags, 2 * finite)
      : checkedHorizon(horizon, seen, region);
  const claim = claimFor(whole, lags, region, horizon !== undefined);
  const kept = lags * seen.channels * 8 > room ? undefined : copyOf(seen, lags);
  const kernels = async () => kept ?? source.at(lags);
  const gained = mixing ? undefined : gains?.get(region);
  const share = gained && shareOf(firstLags(seen, Math.min(lags, seen.lags)), gained, toleranceOf(options), channels);
  const target = targetOf(share ? { ...options, tolerance: share.tolerance } : options, channels, finite, mixing);
  return { ...plan, reduce: { target, weights: share?.weights, claim, kernels } };
}

/** How far a form is right that follows a kernel over so many lags: as far as is known of it, if it has died by then. */
function claimFor({ seen, died, claim }: Extent, lags: number, { opening }: Region, asked: boolean): Claim {
  if (died < seen.lags && died <= lags) return claim;
  // where the graph has no more positions, no more lags are missed
  if (seen.end && seen.end !== "memory" && lags >= seen.lags) return claim;
  const because = asked
    ? `its kernel lives longer than the ${lags} lags that were asked for`
    : `its kernel lives longer than the ${lags} lags that its state follows`;
  return leastClaim([claim, { kind: "ends", positions: lags, node: opening.name, because }]);
}

function targetOf(
  options: ChooseOptions,
  channels: number,
  finite: number | undefined,
  mixing: Mixing | undefined,
): Target {
  const { order, maxState } = options;
  if (order !== undefined) return { order };
  if (maxState !== undefined) {
    const affordable = Math.floor(maxState / (4 * channels));
    if (affordable < 1)
      throw new LongConvError(
        "usage",
        `${maxState} bytes hold no state of ${channels} channels`,
        {},
        `One number for each channel takes ${4 * channels} bytes.`,
      );
    return { order: affordable * (mixing ? fewest(mixing) : 1) };
  }
  // their share of the outputs is not measured
  if (mixing) return { tolerance: options.tolerance ?? DEFAULT_TOLERANCE, maxOrder: LARGEST_MIXED };
  return {
    tolerance: toleranceOf(options),
    maxOrder: Math.min(LARGEST_ORDER, finite === undefined ? LARGEST_ORDER : Math.max(1, finite - 2)),
  };
}

function windowForm(
  seen: SourcedKernels,
  finite: number,
  claim: Claim,
  mixing: Mixing | undefined,
  because?: string,
): Chosen {
  return {
    form: { kind: "window", kernels: copyOf(seen, finite), mixing },
    lags: finite,
    claim,
    extendable: seen.end === undefined,
    error: restAfter(seen, finite),
    because: because ?? `the kernel ends after ${finite} lags`,
    wrapAround: 0,
  };
}

/** The first lags of kernels in memory of their own. */
const copyOf = ({ channels, taps }: Kernels, lags: number): Kernels => ({
  lags,
  channels,
  taps: taps.slice(0, lags * channels),
});

/**
 * ETSC over the horizon. It wraps around there; where the kernel has died away before, but the wrap-around has not, a window
 * of as many lags costs the same and is right for ever.
 */
async function exactForm({ region, source, extent, ...plan }: Plan, options: ChooseOptions): Promise<Chosen> {
  const { died, claim } = extent;
  const seen = await plan.seen();
  const { lags, because } = horizonOf(region, seen, options);
  const kernels = lags <= seen.lags ? firstLags(seen, lags) : await source.at(lags);
  const { decay, wrapAround } = estimateDecay(kernels);
  const hasDied = died < seen.lags && died <= lags;
  if (hasDied && wrapAround > NEGLIGIBLE) {
    const why = `${because}, and a state that wraps around there would bring ${wrapAround.toPrecision(2)} of it back`;
    return windowForm(seen, died, claim, region.mixing, why);
  }
  const modal = solveEtsc(kernels, decay);
  const { mixing } = region;
  return {
    form: mixing ? { kind: "mixed", modal: mixedOf(modal, mixing), lags } : { kind: "exact", modal, lags },
    lags,
    claim: claimFor({ ...extent, seen }, lags, region, options.horizon !== undefined),
    extendable: seen.end === undefined,
    error: solveError(kernels, modal).relative,
    because,
    wrapAround,
  };
}
