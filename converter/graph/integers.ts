/** Tensors of whole numbers of any type. */
import {
  byteSizeOf,
  DataType,
  elementCount,
  float32Tensor,
  int64Tensor,
  type Tensor,
  tensorFromBytes,
  toNumbers,
} from "./tensor.ts";

/** The smallest and the largest number of the integer types that are no ids as a rule: samples, codes. */
const RANGES: ReadonlyMap<number, readonly [number, number]> = new Map([
  [DataType.UINT8, [0, 255]],
  [DataType.INT8, [-128, 127]],
  [DataType.UINT16, [0, 2 ** 16 - 1]],
  [DataType.INT16, [-(2 ** 15), 2 ** 15 - 1]],
]);

/** What an integer of a type can be, of at most 16 bits; undefined of others. */
export const rangeOf = (type: number): readonly [number, number] | undefined => RANGES.get(type);

const INTEGERS: ReadonlySet<number> = new Set([
  ...RANGES.keys(),
  ...[DataType.INT32, DataType.INT64, DataType.UINT32, DataType.UINT64, DataType.BOOL],
]);

/** Whether a type is one of integers, bool among them. */
export const isInteger = (type: number): boolean => INTEGERS.has(type);

/** A tensor of whole numbers, in any type of integers, or of bool; float32 of another type. */
export function integerTensor(type: number, dims: readonly number[], at: (i: number) => number): Tensor {
  const size = elementCount(dims);
  if (!isInteger(type))
    return float32Tensor(
      dims,
      Float32Array.from({ length: size }, (_, i) => at(i)),
    );
  const { data } = zeroTensor(type, dims);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    for (let i = 0; i < size; i++) data[i] = BigInt(at(i));
  else for (let i = 0; i < size; i++) (data as Int32Array)[i] = at(i);
  return { type, dims, data };
}

/**
 * A tensor of zeros of any type.
 * @throws LongConvError `invalid-graph` for strings
 */
export const zeroTensor = (type: number, dims: readonly number[]): Tensor =>
  tensorFromBytes(type, dims, new Uint8Array(byteSizeOf(type, dims)));

/** Ids of int32 as an input takes them that a driver may have made int64; any other tensor as it is. */
export const idsAs = (type: number | undefined, ids: Tensor): Tensor =>
  type === DataType.INT64 && ids.type === DataType.INT32 ? int64Tensor(ids.dims, toNumbers(ids)) : ids;
