/** The recurrence of a modal form and the convolution it stands for, run plainly, to measure one against the other. */
import { type Kernels, type Modal, orderOf } from "../../converter/solve/form.ts";

/**
 * y_i of one channel for the inputs x, from a state of zeros, every operation rounded by `round`: Math.fround gives
 * what float32 gives (a float32 operation is the float64 one rounded), the identity gives float64.
 */
export function runRecurrence(
  modal: Modal,
  channel: number,
  x: Float64Array,
  round: (value: number) => number,
): Float64Array {
  const { channels, pairs } = modal;
  const c = modal.residues.map(round);
  const [re, im, reals] = [pairs.re.map(round), pairs.im.map(round), modal.reals.map(round)];
  const direct = round(modal.direct[channel]!);
  const u = new Float64Array(orderOf(modal));
  return x.map((input) => {
    let y = round(direct * input);
    for (let p = 0; p < re.length; p++) {
      const [a, b] = [u[2 * p]!, u[2 * p + 1]!];
      u[2 * p] = round(round(round(re[p]! * a) - round(im[p]! * b)) + input);
      u[2 * p + 1] = round(round(re[p]! * b) + round(im[p]! * a));
    }
    for (let r = 0; r < reals.length; r++) {
      const s = 2 * re.length + r;
      u[s] = round(round(reals[r]! * u[s]!) + input);
    }
    for (let s = 0; s < u.length; s++) y = round(y + round(c[s * channels + channel]! * u[s]!));
    return y;
  });
}

/** y_i = Σ_{j ≤ i} t_{i-j} x_j of one channel, by the sum itself in float64; lags beyond the kernel's are zero. */
export function convolve({ lags, channels, taps }: Kernels, channel: number, x: Float64Array): Float64Array {
  return x.map((_, i) => {
    let y = 0;
    for (let j = Math.max(0, i - lags + 1); j <= i; j++) y += taps[(i - j) * channels + channel]! * x[j]!;
    return y;
  });
}
