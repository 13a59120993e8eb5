/** A form that is chosen, and the plainest of them: a kernel that ends, as it is. */
import type { Claim } from "../../src/contract.ts";
import type { Certificate } from "../certify/certify.ts";
import type { SourcedKernels } from "../find/source.ts";
import type { Reduction } from "../reduce/reduce.ts";
import type { Form, Kernels, Mixing } from "../solve/form.ts";
import { restAfter } from "./horizon.ts";

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

/** The first lags of a kernel, which has ended after them. */
export function windowForm(
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
export const copyOf = ({ channels, taps }: Kernels, lags: number): Kernels => ({
  lags,
  channels,
  taps: taps.slice(0, lags * channels),
});
