/**
 * Sound as overlapping frames of 960 samples, 480 apart, and back, as DeepFilterNet has it: Vorbis windows, whose squares add up to
 * one (https://github.com/Rikorose/DeepFilterNet/blob/main/libDF/src/lib.rs).
 */
import { fourier } from "./fft.js";

export const SAMPLE_RATE = 48_000;
export const FFT_SIZE = 960;
export const HOP = 480;
export const BINS = FFT_SIZE / 2 + 1;

const window = Float32Array.from({ length: FFT_SIZE }, (_, i) =>
  Math.sin((Math.PI / 2) * Math.sin((Math.PI * (i + 0.5)) / FFT_SIZE) ** 2),
);
const transform = fourier(FFT_SIZE);

/** A spectrum: real and imaginary parts of 481 bins by turns. */
export const emptySpectrum = () => new Float32Array(2 * BINS);

/** Takes 480 samples a call, and gives the spectrum of the last 960, divided by 960. */
export function analysis() {
  const memory = new Float32Array(FFT_SIZE);
  return (samples) => {
    memory.copyWithin(0, HOP);
    memory.set(samples, HOP);
    const { re, im } = transform({ re: memory.map((value, i) => value * window[i]), im: new Float32Array(FFT_SIZE) });
    const spectrum = emptySpectrum();
    for (let k = 0; k < BINS; k++) {
      spectrum[2 * k] = re[k] / FFT_SIZE;
      spectrum[2 * k + 1] = im[k] / FFT_SIZE;
    }
    return spectrum;
  };
}

/** Takes a spectrum a call, and gives 480 samples. */
export function synthesis() {
  const memory = new Float32Array(HOP);
  return (spectrum) => {
    // the other half is the conjugate; the inverse is the conjugate of the transform of the conjugate
    const [re, im] = [new Float64Array(FFT_SIZE), new Float64Array(FFT_SIZE)];
    for (let k = 0; k < BINS; k++) {
      re[k] = spectrum[2 * k];
      if (k === 0 || k === BINS - 1) continue;
      im[k] = -spectrum[2 * k + 1];
      re[FFT_SIZE - k] = re[k];
      im[FFT_SIZE - k] = -im[k];
    }
    const samples = transform({ re, im }).re;
    const out = memory.map((value, i) => value + samples[i] * window[i]);
    for (let i = 0; i < HOP; i++) memory[i] = samples[HOP + i] * window[HOP + i];
    return out;
  };
}
