/** One layer's work, the same in a worker thread and without: reduce, then certify. */

import type { Kernels } from "../form.ts";
import { type ReduceOptions, type Reduction, reduceKernels, type Target } from "../reduce/reduce.ts";
import { type Certificate, type CertifyOptions, certify } from "./certify.ts";

/** What is asked for one layer. */
export interface LayerTask {
  readonly kernels: Kernels;
  readonly target: Target;
  readonly reduce?: ReduceOptions | undefined;
  readonly certify?: CertifyOptions | undefined;
  /** Whether the kernels are needed by nobody else: a worker thread then takes their memory instead of a copy of it. */
  readonly handOver?: boolean | undefined;
}

/** A layer's compact model and what is certain about it. */
export interface LayerResult {
  readonly reduction: Reduction;
  readonly certificate: Certificate;
}

/**
 * Reduces and certifies one layer.
 * @throws LongConvError as {@link reduceKernels}
 */
export function reduceLayer({ kernels, target, reduce, certify: options }: LayerTask): LayerResult {
  const reduction = reduceKernels(kernels, target, reduce);
  return { reduction, certificate: certify(kernels, reduction.modal, options) };
}
