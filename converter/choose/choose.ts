/** Which recurrent form takes a convolution's place: by certified error first, by cost second. */
import { type Claim, leastClaim } from "../../src/contract.ts";
import { roundoffReach } from "../certify/reach.ts";
import type { Candidate } from "../find/candidates.ts";
import { type Form, largestModulus, stateChannels, stateOrder } from "../solve/form.ts";
import { endOf } from "./afterwards.ts";
import type { Chosen } from "./chosen.ts";
import type { ContestResult } from "./contest.ts";
import { exactForm } from "./exact.ts";
import { type Beforehand, columnsOf, LARGEST_ORDER, type Plan, planOf } from "./layer.ts";
import { contestLayers } from "./layers.ts";
import { lowOrderForm } from "./low.ts";
import { type ChooseOptions, toleranceOf } from "./options.ts";

/** Numbers that a form carries for each sequence. */
const numbersOf = (form: Form): number => stateOrder(form) * stateChannels(form);

/** Kernels of all layers are kept between planning and reducing up to this size, else evaluated again. */
const KEPT_BYTES = 256e6;

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
    diagonal: "tolerance" in reduce!.target,
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
  const ends = found && endOf(found, plan, toleranceOf(options));
  const isAsked = options.order !== undefined || options.maxState !== undefined;
  const low =
    found && ends && isAsked ? { ...found, claim: leastClaim([found.claim, ends]) } : ends ? undefined : found;
  if (low && (!window || numbersOf(low.form) < numbersOf(window.form))) return low;
  if (window) return { ...window, reduction };
  const exact = await exactForm(plan, options);
  if (!result) return exact;
  const shared = ends?.because ?? result.because ?? reduction?.reason;
  const reasons = [shared, result.diagonal?.reduction.reason, result.mixed?.reduction.reason];
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
