/** Which recurrent form takes a convolution's place: by certified error first, by cost second. */
import { LongConvError } from "../src/errors.ts";
import type { Certificate } from "./certify/certify.ts";
import type { ContestResult } from "./certify/contest.ts";
import { contestLayers } from "./certify/layers.ts";
import type { KernelSource } from "./find/kernel.ts";
import type { Region } from "./find/region.ts";
import { evened, type Form, type Kernels, stateOrder } from "./form.ts";
import type { Reduction, Target } from "./reduce/reduce.ts";
import { estimateDecay, significantLags } from "./solve/decay.ts";
import { solveEtsc } from "./solve/etsc.ts";
import { solveError } from "./solve/evaluate.ts";

export interface ChooseOptions {
  /** Full-order ETSC instead of compact states. Default false. */
  readonly exact?: boolean | undefined;
  /** Relative error of a layer's kernels that compact states may have. Default {@link DEFAULT_TOLERANCE}. */
  readonly tolerance?: number | undefined;
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

/** A form with what is known of it. */
export interface Chosen {
  readonly form: Form;
  /** Lags over which `error` is measured. */
  readonly lags: number;
  /** Relative error of the form's kernels over these lags, Frobenius norm, float64. */
  readonly error: number;
  /** Why this form and this horizon, in a sentence. */
  readonly because: string;
  /** What remains of the first lag when the exact form wraps around; 0 for forms that do not. */
  readonly wrapAround: number;
  readonly reduction?: Reduction | undefined;
  readonly certificate?: Certificate | undefined;
}

/** A convolution and where its kernel can be had. */
export interface Candidate {
  readonly region: Region;
  readonly source: KernelSource;
}

/** Chosen on the curve of state size against agreement, docs/parts/reduction.md. */
export const DEFAULT_TOLERANCE = 1e-5;

/** How far a kernel is looked at first, where the graph gives any number of lags, and at most. */
export const LOOKED_AT_LAGS = 4096;
const LONGEST_LAGS = 16_384;
/** Horizon of the exact form for a kernel that does not decay. */
const ENDLESS_LAGS = 2048;
/** A kernel is taken to have died away where what remains is below this part of it. */
export const NEGLIGIBLE = 1e-6;
/** Windows of at most so many lags are carried as they are: a handful of products is as cheap as any recurrence. */
const SHORT_LAGS = 16;
/** A compact step multiplies the state by a dense [order × order] matrix: beyond this the exact form's diagonal is cheaper. */
const LARGEST_ORDER = 128;

/** Kernels of one layer are kept between planning and reducing up to this size, else evaluated again. */
const KEPT_BYTES = 64e6;

/** What is decided of a layer before anything is reduced. */
interface Plan extends Candidate {
  /** Lags of a kernel that ends. */
  readonly finite: number | undefined;
  /** What to reduce; undefined where the layer is not reduced at all. */
  readonly target: Target | undefined;
  /** Kernels over the compact form's horizon. */
  kernels(): Promise<Kernels>;
}

/** The forms of all layers, in their order. */
export async function chooseForms(
  candidates: readonly Candidate[],
  options: ChooseOptions,
  onProgress?: (done: number, total: number) => void,
): Promise<Chosen[]> {
  const channels = candidates.reduce((sum, { region }) => sum + region.channels, 0);
  const plans: Plan[] = [];
  for (const candidate of candidates) plans.push(await planOf(candidate, options, channels));
  const reducible = plans.filter((plan) => plan.target);
  const tasks = reducible.map((plan) => async () => ({
    kernels: await plan.kernels(),
    shared: plan.target!,
    own: "tolerance" in plan.target!,
    certify: { beyond: plan.finite === undefined ? ("unknown" as const) : ("zero" as const) },
  }));
  const threads = options.threads === undefined ? {} : { threads: options.threads };
  const results = await contestLayers(tasks, { progress: onProgress, ...threads });
  const chosen: Chosen[] = [];
  for (const plan of plans) {
    const at = reducible.indexOf(plan);
    chosen.push(await decide(plan, at < 0 ? undefined : results[at], options));
  }
  return chosen;
}

/** A form of low order where one is within the tolerance and smaller than a window; else what is exact. */
async function decide(plan: Plan, result: ContestResult | undefined, options: ChooseOptions): Promise<Chosen> {
  const { finite } = plan;
  const reduction = result?.shared?.reduction;
  const low = lowOrderForm(result, options);
  if (low && (finite === undefined || stateOrder(low.form) < finite - 1)) return low;
  if (finite !== undefined) return { ...(await windowForm(plan, finite)), reduction };
  const exact = await exactForm(plan, options);
  if (!result) return exact;
  const why = [result.because ?? reduction?.reason, result.own?.reduction.reason].filter(Boolean).join("; ");
  return {
    ...exact,
    because: `${why || `no order up to ${LARGEST_ORDER} is within the tolerance`}; ${exact.because}`,
    reduction,
  };
}

/** Shared poles or poles of each channel's own, whichever is met. */
function lowOrderForm(
  { shared, own, because }: ContestResult = {},
  { order, maxState }: ChooseOptions,
): Chosen | undefined {
  const chosen = (form: Form & { lags: number }, certificate: Certificate, why: string): Chosen => ({
    form,
    lags: form.lags,
    error: certificate.layer.relative,
    because: why,
    wrapAround: 0,
    reduction: shared?.reduction,
    certificate,
  });
  if (shared?.reduction.met && shared.certificate) {
    const { reduction, certificate } = shared;
    const lags = certificate.horizon;
    const why = `${reduction.order} shared poles follow the kernel over ${lags} lags`;
    // an order or a size that was asked for is kept; else a state more costs less than an odd number of them
    const free = order === undefined && maxState === undefined;
    const modal = free ? evened(reduction.modal) : reduction.modal;
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
  return undefined;
}

async function planOf(candidate: Candidate, options: ChooseOptions, channels: number): Promise<Plan> {
  const { source } = candidate;
  const { exact, horizon, tolerance = DEFAULT_TOLERANCE } = options;
  let seen = await source.at(source.maxLags ?? Math.max(LOOKED_AT_LAGS, 2 * (horizon ?? 0)));
  const finite = finiteLags(seen);
  const kernels = () => source.at(source.maxLags ?? LOOKED_AT_LAGS);
  if (exact || (finite !== undefined && finite <= SHORT_LAGS))
    return { ...candidate, finite, target: undefined, kernels };
  const negligible = Math.min(NEGLIGIBLE, tolerance / 10);
  if (
    !horizon &&
    source.maxLags === undefined &&
    finite === undefined &&
    significantLags(seen, negligible) === seen.lags
  )
    seen = await source.at(LONGEST_LAGS);
  const lags = compactHorizon(candidate, seen, finite, options);
  const target = targetOf(options, channels, finite);
  if (lags * seen.channels * 8 > KEPT_BYTES) return { ...candidate, finite, target, kernels: () => source.at(lags) };
  const kept: Kernels = { lags, channels: seen.channels, taps: seen.taps.slice(0, lags * seen.channels) };
  return { ...candidate, finite, target, kernels: async () => kept };
}

function targetOf(
  { order, maxState, tolerance = DEFAULT_TOLERANCE }: ChooseOptions,
  channels: number,
  finite: number | undefined,
): Target {
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
    return { order: affordable };
  }
  return {
    tolerance,
    maxOrder: Math.min(LARGEST_ORDER, finite === undefined ? LARGEST_ORDER : Math.max(1, finite - 2)),
  };
}

/** A compact form's horizon: as asked; where the kernel has died away; else all that was looked at. */
function compactHorizon(
  { region, source }: Candidate,
  seen: Kernels,
  finite: number | undefined,
  options: ChooseOptions,
): number {
  const { horizon, tolerance = DEFAULT_TOLERANCE } = options;
  if (horizon !== undefined) return checkedHorizon(horizon, source.maxLags, region);
  if (finite !== undefined) return Math.min(seen.lags, 2 * finite);
  return significantLags(seen, Math.min(NEGLIGIBLE, tolerance / 10));
}

async function windowForm({ source }: Plan, finite: number): Promise<Chosen> {
  const { channels, taps } = await source.at(source.maxLags ?? Math.max(LOOKED_AT_LAGS, finite));
  const kernels: Kernels = { lags: finite, channels, taps: taps.slice(0, finite * channels) };
  return {
    form: { kind: "window", kernels },
    lags: finite,
    error: 0,
    because: `the kernel ends after ${finite} lags`,
    wrapAround: 0,
  };
}

async function exactForm({ region, source }: Plan, options: ChooseOptions): Promise<Chosen> {
  const seen = await source.at(source.maxLags ?? Math.max(LOOKED_AT_LAGS, 2 * (options.horizon ?? 0)));
  const { lags, because } = horizonOf(region, source, seen, options);
  const kernels = lags <= seen.lags ? firstLags(seen, lags) : await source.at(lags);
  const { decay, wrapAround } = estimateDecay(kernels);
  const modal = solveEtsc(kernels, decay);
  return {
    form: { kind: "exact", modal, lags },
    lags,
    error: solveError(kernels, modal).relative,
    because,
    wrapAround,
  };
}

/**
 * The exact form's horizon: what the user says; else the exported length where it is fixed; else the training length;
 * else where the kernel has died away; else 2 048 lags.
 * @throws LongConvError no-horizon if more lags are asked for than a fixed graph has
 */
function horizonOf(
  region: Region,
  source: KernelSource,
  seen: Kernels,
  options: ChooseOptions,
): { lags: number; because: string } {
  const { horizon, trainingLength } = options;
  const { maxLags } = source;
  if (horizon !== undefined) return { lags: checkedHorizon(horizon, maxLags, region), because: "as asked" };
  if (maxLags !== undefined) return { lags: maxLags, because: "the graph's fixed length" };
  const significant = significantLags(seen, NEGLIGIBLE);
  if (trainingLength !== undefined && trainingLength < significant)
    return { lags: trainingLength, because: "the model's training length" };
  if (significant < seen.lags)
    return { lags: significant, because: `the kernel has died away after ${significant} lags` };
  return {
    lags: ENDLESS_LAGS,
    because: `the kernel does not die away within ${seen.lags} lags, so it is cut at ${ENDLESS_LAGS}`,
  };
}

function checkedHorizon(horizon: number, maxLags: number | undefined, region: Region): number {
  if (maxLags === undefined || horizon <= maxLags) return horizon;
  throw new LongConvError(
    "no-horizon",
    `a horizon of ${horizon} lags is asked for, but the graph was exported with a fixed length and its kernel ends at ${maxLags}`,
    { node: region.opening.name, operator: region.opening.op },
    `Ask for at most ${maxLags} lags, or export the model with a dynamic sequence length.`,
  );
}

/** The first lags of kernels. */
export function firstLags({ channels, taps }: Kernels, lags: number): Kernels {
  return { lags, channels, taps: taps.subarray(0, lags * channels) };
}

/**
 * The number of lags of a kernel that ends: zeros (or the rounding of a transform) from there on, while the last tap is
 * still far above them. A kernel that dies away has no such edge.
 */
export function finiteLags({ lags, channels, taps }: Kernels): number | undefined {
  let largest = 0;
  for (const tap of taps) largest = Math.max(largest, Math.abs(tap));
  const silent = largest * 2 ** -20;
  const rowMax = (k: number) => {
    let max = 0;
    for (let c = 0; c < channels; c++) max = Math.max(max, Math.abs(taps[k * channels + c]!));
    return max;
  };
  let end = lags;
  while (end > 0 && rowMax(end - 1) <= silent) end--;
  if (end === 0) return 1;
  // a window longer than half of what was looked at may as well be a kernel that was cut
  if (end > lags / 2) return end === 1 && lags === 1 ? 1 : undefined;
  return rowMax(end - 1) > 64 * silent ? end : undefined;
}
