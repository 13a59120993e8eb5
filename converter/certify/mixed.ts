/** What is certain about a state that all channels share: each kernel as if it had states of its own, and outputs as sums over inputs. */

import { type Kernels, kernelsOwn, type MixedModal } from "../solve/form.ts";
import { amplitudesOf, weigh } from "./amplitudes.ts";
import { type Certificate, type CertifyOptions, certify } from "./certify.ts";
import { geometricSum } from "./geometric.ts";
import type { PerChannel } from "./norms.ts";
import { UNIT } from "./roundoff.ts";

/**
 * Certifies a mixed form against the kernels that it stands for. By linearity an output's error is at most the sum of the
 * errors of its kernels, and a state's the sum of what each input makes of it. Beside the rounding of such states, driving
 * a state adds up as many products as there are inputs, and reading an output as many sums more: each rounds what it adds up
 * by gamma(inputs + 2). docs/parts/certificate.md.
 * @param kernels o · inputs + i is that from input i to output o
 */
export function certifyMixed(kernels: Kernels, modal: MixedModal, options: CertifyOptions = {}): Certificate {
  const { inputs, outputs } = modal;
  const own = kernelsOwn(modal);
  const certificate = certify(kernels, own, options);
  const { error, tail, roundoff, layer } = certificate;
  const summed = (values: PerChannel): number =>
    Array.from({ length: outputs }, (_, o) =>
      values.subarray(o * inputs, (o + 1) * inputs).reduce((sum, value) => sum + value, 0),
    ).reduce((a, b) => Math.max(a, b), 0);
  const once = weigh(amplitudesOf(own), (rho) => geometricSum(rho, 0, roundoff.steps));
  const gamma = ((inputs + 2) * UNIT) / (1 - (inputs + 2) * UNIT);
  const added = once.map((size, c) => 2 * Math.SQRT2 * gamma * (size + Math.abs(own.direct[c]!)));
  const bounds = {
    ...layer,
    outputPerLargestInput: summed(error.one),
    // the norm of a matrix is at most that of its entries' norms
    outputPerInputEnergy: Math.hypot(...error.frequency),
    outputPerLargestInputForEver:
      tail.kernel === "zero"
        ? summed(error.one.map((each, c) => each + tail.further.one[c]! + tail.one[c]!))
        : Number.POSITIVE_INFINITY,
    roundoff: summed(roundoff.bound.map((each, c) => each + added[c]!)),
    roundoffExpected: summed(roundoff.expected.map((each, c) => each + added[c]!)),
  };
  return { ...certificate, layer: bounds };
}
