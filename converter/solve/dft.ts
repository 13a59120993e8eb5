/** Complex discrete Fourier transforms of any length in float64: fft.js for powers of two, Bluestein on top of it. */
import FFT from "fft.js";

/**
 * A transform of one length, with its tables and work space; made once and used for every channel. Arrays are
 * interleaved, [2 · length]: re at 2k, im at 2k+1. `input` and `output` must be different arrays.
 */
export interface Dft {
  readonly length: number;
  /** output_j = Σ_k input_k exp(-2πi jk/length). */
  readonly forward: (input: Float64Array, output: Float64Array) => void;
  /** output_j = 1/length Σ_k input_k exp(2πi jk/length). */
  readonly inverse: (input: Float64Array, output: Float64Array) => void;
}

/**
 * exp(2πi k/n) for integers 0 ≤ k, n with 4k < 2⁵³. The angle is reduced to ±π/4 in integers, so the error is that of
 * one sine or cosine of a small angle (below 2 ulp), however large k is.
 * @returns [re, im]
 */
export function unitRoot(k: number, n: number): [number, number] {
  const turn = k % n;
  const quarter = Math.floor((4 * turn) / n + 0.5);
  const angle = (Math.PI / 2) * ((4 * turn - quarter * n) / n);
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  if (quarter % 4 === 0) return [cos, sin];
  if (quarter % 4 === 1) return [-sin, cos];
  return quarter % 4 === 2 ? [-cos, -sin] : [sin, -cos];
}

/**
 * Plans the transform of `length` points.
 * @throws RangeError unless length is an integer from 1 to 2²⁴ (fft.js's bit reversal and the chirp stay exact)
 */
export function planDft(length: number): Dft {
  if (!Number.isInteger(length) || length < 1 || length > 2 ** 24) {
    throw new RangeError(`a DFT needs a length from 1 to 2^24, not ${length}`);
  }
  const forward = (length & (length - 1)) === 0 ? radix(length) : bluestein(length);
  // IDFT(x) = swap(DFT(swap(x))) / n, where swap exchanges real and imaginary parts
  const swapped = new Float64Array(2 * length);
  const inverse = (input: Float64Array, output: Float64Array): void => {
    for (let i = 0; i < 2 * length; i += 2) {
      swapped[i] = input[i + 1]!;
      swapped[i + 1] = input[i]!;
    }
    forward(swapped, output);
    for (let i = 0; i < 2 * length; i += 2) {
      const re = output[i + 1]! / length;
      output[i + 1] = output[i]! / length;
      output[i] = re;
    }
  };
  return { length, forward, inverse };
}

type Transform = (input: Float64Array, output: Float64Array) => void;

function radix(length: number): Transform {
  if (length === 1) return (input, output) => output.set(input.subarray(0, 2));
  const fft = new FFT(length);
  return (input, output) => fft.transform(output, input);
}

/**
 * Bluestein (1970): with w_k = exp(-πi k²/n), X_j = w_j Σ_k (x_k w_k) conj(w_{j-k}), a linear convolution, done
 * cyclically at a power of two ≥ 2n-1. k² is taken modulo 2n in integers before it becomes an angle.
 */
function bluestein(length: number): Transform {
  let size = 2;
  while (size < 2 * length - 1) size *= 2;
  const fft = new FFT(size);
  const chirp = new Float64Array(2 * length);
  for (let k = 0; k < length; k++) {
    const [re, im] = unitRoot((k * k) % (2 * length), 2 * length);
    chirp[2 * k] = re;
    chirp[2 * k + 1] = -im;
  }
  const work = new Float64Array(2 * size);
  const spectrum = new Float64Array(2 * size);
  for (let k = 0; k < length; k++) {
    for (const at of k === 0 ? [0] : [k, size - k]) {
      work[2 * at] = chirp[2 * k]!;
      work[2 * at + 1] = -chirp[2 * k + 1]!;
    }
  }
  const filter = new Float64Array(2 * size);
  fft.transform(filter, work);

  return (input, output) => {
    work.fill(0);
    multiply(input, chirp, work, length);
    fft.transform(spectrum, work);
    multiply(spectrum, filter, spectrum, size);
    fft.inverseTransform(work, spectrum);
    multiply(work, chirp, output, length);
  };
}

/** out_k = a_k b_k for the first `count` complex numbers; `out` may be `a` or `b`. */
function multiply(a: Float64Array, b: Float64Array, out: Float64Array, count: number): void {
  for (let i = 0; i < 2 * count; i += 2) {
    const re = a[i]! * b[i]! - a[i + 1]! * b[i + 1]!;
    out[i + 1] = a[i]! * b[i + 1]! + a[i + 1]! * b[i]!;
    out[i] = re;
  }
}
