/** What DeepFilterNet3 reads of a spectrum: levels of 32 bands, and the lowest 96 bins, both without their running means. */
import { BINS, FFT_SIZE, SAMPLE_RATE } from "./spectrum.js";

export const BANDS = 32;
export const LOW_BINS = 96;
/** Bins that a band has at least. */
const LEAST_BINS = 2;
/** Of the running means: one second in frames of 10 ms, rounded as libDF rounds it. */
const KEEP = 0.99;

/** Bins of each band: equally wide on the scale of equivalent rectangular bandwidths. */
export const bandSizes = (() => {
  const scale = 24.7 * 9.265;
  const highest = 9.265 * Math.log1p(SAMPLE_RATE / 2 / scale);
  const sizes = [];
  let [before, over] = [0, 0];
  for (let band = 1; band <= BANDS; band++) {
    const frequency = scale * Math.expm1((highest * band) / BANDS / 9.265);
    const end = Math.round(frequency / (SAMPLE_RATE / FFT_SIZE));
    const size = end - before - over;
    over = Math.max(0, LEAST_BINS - size);
    sizes.push(Math.max(LEAST_BINS, size));
    before = end;
  }
  // the bin at half the sample rate, and what least sizes have taken too much
  sizes[BANDS - 1] += BINS - sizes.reduce((sum, size) => sum + size, 0);
  return sizes;
})();

const between = (first, last, count) =>
  Float32Array.from({ length: count }, (_, i) => first + (i * (last - first)) / (count - 1));

/** Takes a spectrum a call; gives feat_erb [32] and feat_spec [2, 96]. */
export function features() {
  const levels = between(-60, -90, BANDS);
  const sizes = between(0.001, 0.0001, LOW_BINS);
  return (spectrum) => {
    const erb = new Float32Array(BANDS);
    let bin = 0;
    for (const [band, size] of bandSizes.entries()) {
      let power = 0;
      for (let i = 0; i < size; i++, bin++) power += spectrum[2 * bin] ** 2 + spectrum[2 * bin + 1] ** 2;
      const level = 10 * Math.log10(power / size + 1e-10);
      levels[band] = level * (1 - KEEP) + levels[band] * KEEP;
      erb[band] = (level - levels[band]) / 40;
    }
    const spec = new Float32Array(2 * LOW_BINS);
    for (let k = 0; k < LOW_BINS; k++) {
      const [re, im] = [spectrum[2 * k], spectrum[2 * k + 1]];
      sizes[k] = Math.hypot(re, im) * (1 - KEEP) + sizes[k] * KEEP;
      spec[k] = re / Math.sqrt(sizes[k]);
      spec[LOW_BINS + k] = im / Math.sqrt(sizes[k]);
    }
    return { erb, spec };
  };
}
