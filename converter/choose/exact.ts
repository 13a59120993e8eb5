/** The form of as many states as the horizon has lags. */
import { estimateDecay } from "../solve/decay.ts";
import { solveEtsc } from "../solve/etsc.ts";
import { solveError } from "../solve/evaluate.ts";
import { mixedOf } from "../solve/mixed.ts";
import { type Chosen, windowForm } from "./chosen.ts";
import { firstLags, horizonOf, NEGLIGIBLE } from "./horizon.ts";
import { claimFor, type Plan } from "./layer.ts";
import type { ChooseOptions } from "./options.ts";

/**
 * ETSC over the horizon. It wraps around there; where the kernel has died away before, but the wrap-around has not, a window
 * of as many lags costs the same and is right for ever.
 */
export async function exactForm({ region, source, extent, ...plan }: Plan, options: ChooseOptions): Promise<Chosen> {
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
