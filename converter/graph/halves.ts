/** float16 and bfloat16 as bits, to and from numbers. */

const scratch = new DataView(new ArrayBuffer(8));

/** The number that the bits of an IEEE 754 half stand for. */
export function numberFromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Bits of the half nearest to a number, ties to even; beyond 65504 infinity. */
export function float16FromNumber(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  // The spacing of halves around `size`: 2^-24 below 2^-14, else 2^-10 of its power of two.
  scratch.setFloat64(0, size);
  const exponent = Math.max(((scratch.getUint16(0) >> 4) & 2047) - 1023, -14);
  const steps = roundHalfEven(size * 2 ** (10 - exponent));
  return sign | (((exponent + 14) << 10) + steps);
}

/** The number that the bits of a bfloat16 stand for: the upper half of a float32. */
export function numberFromBfloat16(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** Bits of the bfloat16 nearest to a number (rounded to float32 first), ties to even. */
export function bfloat16FromNumber(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** float32 values of halves. */
export const float32FromFloat16 = (bits: Uint16Array): Float32Array => Float32Array.from(bits, numberFromFloat16);

/** Bits of the nearest halves. */
export const float16FromFloat32 = (values: ArrayLike<number>): Uint16Array =>
  Uint16Array.from(values, float16FromNumber);

/** float32 values of bfloat16s. */
export const float32FromBfloat16 = (bits: Uint16Array): Float32Array => Float32Array.from(bits, numberFromBfloat16);

/** Bits of the nearest bfloat16s. */
export const bfloat16FromFloat32 = (values: ArrayLike<number>): Uint16Array =>
  Uint16Array.from(values, bfloat16FromNumber);

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
