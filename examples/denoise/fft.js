/** The discrete Fourier transform of a length with small prime factors (960 = 2⁶ · 3 · 5): decimation in time. */

/** @returns a function from real and imaginary parts to theirs, forward: sum of x[i] e^(-2πi ik/n) */
export function fourier(size) {
  const cosines = Float64Array.from({ length: size }, (_, i) => Math.cos((2 * Math.PI * i) / size));
  const sines = Float64Array.from({ length: size }, (_, i) => -Math.sin((2 * Math.PI * i) / size));

  // of the values from, from + stride, …, written to at, at + 1, …
  const transform = (x, y, from, stride, count, at) => {
    if (count === 1) {
      y.re[at] = x.re[from];
      y.im[at] = x.im[from];
      return;
    }
    const radix = [2, 3, 5].find((factor) => count % factor === 0) ?? count;
    const part = count / radix;
    for (let r = 0; r < radix; r++) transform(x, y, from + r * stride, stride * radix, part, at + r * part);
    const [re, im] = [new Float64Array(radix), new Float64Array(radix)];
    for (let k = 0; k < part; k++) {
      re.fill(0);
      im.fill(0);
      for (let r = 0; r < radix; r++) {
        const [a, b] = [y.re[at + r * part + k], y.im[at + r * part + k]];
        for (let q = 0; q < radix; q++) {
          const turn = (r * (k + q * part) * stride) % size;
          re[q] += a * cosines[turn] - b * sines[turn];
          im[q] += a * sines[turn] + b * cosines[turn];
        }
      }
      for (let q = 0; q < radix; q++) {
        y.re[at + k + q * part] = re[q];
        y.im[at + k + q * part] = im[q];
      }
    }
  };
  return (x) => {
    const y = { re: new Float64Array(size), im: new Float64Array(size) };
    transform(x, y, 0, 1, size, 0);
    return y;
  };
}
