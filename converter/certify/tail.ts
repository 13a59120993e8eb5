/** Bounds on the model's own kernel from a lag onwards, for ever. */

import { type Amplitudes, weigh } from "./amplitudes.ts";
import { geometricSum } from "./geometric.ts";
import type { PerChannel } from "./norms.ts";

/** Bounds on Σ_{k≥from} |t̂_k| and on (Σ_{k≥from} t̂_k²)^½; Infinity where a mode does not decay. */
export interface Tail {
  readonly one: PerChannel;
  readonly two: PerChannel;
}

/**
 * From |t̂_k| ≤ Σ_s |c_s| |λ_s|^k: the 1-norm is at most Σ_s |c_s| |λ_s|^from / (1 - |λ_s|), the 2-norm, by the triangle
 * inequality, at most Σ_s |c_s| |λ_s|^from / √(1 - |λ_s|²).
 *
 * @param from first lag counted, at least 1 (the direct term is at lag 0)
 */
export function tailFrom(amplitudes: Amplitudes, from: number): Tail {
  return {
    one: weigh(amplitudes, (rho) => geometricSum(rho, from, Number.POSITIVE_INFINITY)),
    two: weigh(amplitudes, (rho) => Math.sqrt(geometricSum(rho * rho, from, Number.POSITIVE_INFINITY))),
  };
}
