/** Arrays as numpy reads them: `numpy.load("kernels.npz")`. Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
import { zipSync } from "fflate";

/** An array; a complex one holds re and im in turn. */
export interface NamedArray {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array | Float64Array;
  readonly complex?: boolean;
}

/** The bytes of a .npz file. */
export function npz(arrays: readonly NamedArray[]): Uint8Array {
  return zipSync(Object.fromEntries(arrays.map((array) => [`${array.name}.npy`, npy(array)])), { level: 6 });
}

function npy({ dims, data, complex = false }: NamedArray): Uint8Array {
  const single = data instanceof Float32Array;
  const type = complex ? (single ? "<c8" : "<c16") : single ? "<f4" : "<f8";
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(", ")})`;
  const said = `{'descr': '${type}', 'fortran_order': False, 'shape': ${shape}, }`;
  const before = 10;
  const length = Math.ceil((before + said.length + 1) / 64) * 64 - before;
  const header = new TextEncoder().encode(`${said.padEnd(length - 1)}\n`);
  const bytes = new Uint8Array(before + length + data.byteLength);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, length & 255, length >> 8]);
  bytes.set(header, before);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), before + length);
  return bytes;
}
