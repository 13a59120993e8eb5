/** The part of fft.js (CommonJS, no types of its own) that the solve uses. */
declare module "fft.js" {
  /** Radix-4 transform of one power-of-two size above 1; arrays are interleaved (re, im). Not reentrant. */
  export default class FFT {
    constructor(size: number);
    readonly size: number;
    /** X_j = Σ_k x_k exp(-2πi jk/size); `out` and `data` must differ. */
    transform(out: Float64Array, data: Float64Array): void;
    /** The inverse, divided by size; `out` and `data` must differ. */
    inverseTransform(out: Float64Array, data: Float64Array): void;
  }
}
