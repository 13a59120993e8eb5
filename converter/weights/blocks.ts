/**
 * Weights in blocks of 4 or 8 bits, as ONNX Runtime's MatMulNBits and GatherBlockQuantized read them.
 *
 * A row is cut into blocks of 32 along the inner dimension. A block has one float32 scale s and unsigned codes q with
 * the fixed zero point z = 2^(bits-1): w ≈ s (q - z). The element of largest magnitude becomes q = 0, so s = -w/z; only
 * values at the other end of the range can be clipped (q = 2^bits - 1).
 */

/** Values that share a scale. */
export const BLOCK = 32;

export type Bits = 4 | 8;

/** A matrix of rows [rows, inner] in blocks; the last block of a row is filled up with zeros. */
export interface Blocks {
  readonly bits: Bits;
  readonly rows: number;
  readonly inner: number;
  readonly blocksPerRow: number;
  /** uint8 [rows, blocksPerRow, BLOCK · bits / 8]; of two 4-bit codes in a byte the first is the low half. */
  readonly codes: Uint8Array;
  /** [rows, blocksPerRow] */
  readonly scales: Float32Array;
}

/**
 * Rounds a matrix to blocks.
 * @param values row-major [rows, inner], or [inner, rows] where `transposed`
 */
export function toBlocks(values: Float32Array, rows: number, inner: number, bits: Bits, transposed: boolean): Blocks {
  const blocksPerRow = Math.ceil(inner / BLOCK);
  const bytes = (BLOCK * bits) / 8;
  const codes = new Uint8Array(rows * blocksPerRow * bytes);
  const scales = new Float32Array(rows * blocksPerRow);
  const [rowStride, innerStride] = transposed ? [1, rows] : [inner, 1];
  // rows in the inner loop where they are next to each other in memory
  const tile = transposed ? rows : 1;
  for (let first = 0; first < rows; first += tile) {
    for (let block = 0; block < blocksPerRow; block++) {
      const [from, to] = [block * BLOCK, Math.min(inner, (block + 1) * BLOCK)];
      const place = (row: number) => row * blocksPerRow + block;
      for (let k = from; k < to; k++)
        for (let row = first; row < first + tile; row++) {
          const value = values[row * rowStride + k * innerStride]!;
          if (Math.abs(value) > Math.abs(scales[place(row)]!)) scales[place(row)] = value;
        }
      for (let row = first; row < first + tile; row++) scales[place(row)]! /= -(2 ** (bits - 1));
      for (let k = from; k < from + BLOCK; k++)
        for (let row = first; row < first + tile; row++) {
          const value = k < to ? values[row * rowStride + k * innerStride]! : 0;
          const code = codeOf(value, scales[place(row)]!, bits);
          const at = k - from;
          if (bits === 8) codes[place(row) * bytes + at] = code;
          else codes[place(row) * bytes + (at >> 1)]! |= code << (4 * (at & 1));
        }
    }
  }
  return { bits, rows, inner, blocksPerRow, codes, scales };
}

function codeOf(value: number, scale: number, bits: Bits): number {
  const zero = 2 ** (bits - 1);
  if (scale === 0) return zero;
  return Math.min(2 * zero - 1, Math.max(0, Math.round(value / scale) + zero));
}
