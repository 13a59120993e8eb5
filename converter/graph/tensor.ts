/** Typed values of tensors of every ONNX type. */
import { LongConvError } from "../../src/errors.ts";
import { numberFromBfloat16, numberFromFloat16 } from "./halves.ts";

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Values in row-major order. float16 and bfloat16 are held as their bits in a Uint16Array; bool as a Uint8Array. */
export interface Tensor {
  /** onnx.TensorProto.DataType */
  readonly type: number;
  readonly dims: readonly number[];
  readonly data: TypedArray | readonly string[];
}

/** onnx.TensorProto.DataType, with the types that are newer than IR 8. */
export const DataType = {
  UNDEFINED: 0,
  FLOAT: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  STRING: 8,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  UINT32: 12,
  UINT64: 13,
  COMPLEX64: 14,
  COMPLEX128: 15,
  BFLOAT16: 16,
  FLOAT8E4M3FN: 17,
  FLOAT8E4M3FNUZ: 18,
  FLOAT8E5M2: 19,
  FLOAT8E5M2FNUZ: 20,
  UINT4: 21,
  INT4: 22,
  FLOAT4E2M1: 23,
  FLOAT8E8M0: 24,
  UINT2: 25,
  INT2: 26,
} as const;

interface Storage {
  readonly array: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => TypedArray;
  /** Bits of one ONNX element. */
  readonly bits: number;
}

// A complex number is two floats; types of less than a byte are held packed, as they are in raw_data.
const STORAGE: Readonly<Record<number, Storage>> = {
  1: { array: Float32Array, bits: 32 },
  2: { array: Uint8Array, bits: 8 },
  3: { array: Int8Array, bits: 8 },
  4: { array: Uint16Array, bits: 16 },
  5: { array: Int16Array, bits: 16 },
  6: { array: Int32Array, bits: 32 },
  7: { array: BigInt64Array, bits: 64 },
  9: { array: Uint8Array, bits: 8 },
  10: { array: Uint16Array, bits: 16 },
  11: { array: Float64Array, bits: 64 },
  12: { array: Uint32Array, bits: 32 },
  13: { array: BigUint64Array, bits: 64 },
  14: { array: Float32Array, bits: 64 },
  15: { array: Float64Array, bits: 128 },
  16: { array: Uint16Array, bits: 16 },
  17: { array: Uint8Array, bits: 8 },
  18: { array: Uint8Array, bits: 8 },
  19: { array: Uint8Array, bits: 8 },
  20: { array: Uint8Array, bits: 8 },
  21: { array: Uint8Array, bits: 4 },
  22: { array: Uint8Array, bits: 4 },
  23: { array: Uint8Array, bits: 4 },
  24: { array: Uint8Array, bits: 8 },
  25: { array: Uint8Array, bits: 2 },
  26: { array: Uint8Array, bits: 2 },
};

const FLOATS: ReadonlySet<number> = new Set([DataType.FLOAT, DataType.DOUBLE, DataType.FLOAT16, DataType.BFLOAT16]);

/** Whether a type is float32, float64, float16 or bfloat16. */
export const isFloat = (type: number): boolean => FLOATS.has(type);

/** "float32" and so on, for messages. */
export function typeName(type: number): string {
  const name = Object.entries(DataType).find((entry) => entry[1] === type)?.[0];
  if (type === DataType.FLOAT) return "float32";
  if (type === DataType.DOUBLE) return "float64";
  return name?.toLowerCase() ?? `type ${type}`;
}

/** Number of elements of a shape; 1 for a scalar. */
export const elementCount = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

/**
 * Bytes that a tensor's values take in raw_data.
 * @throws LongConvError `invalid-graph` for strings and types that have no such form
 */
export function byteSizeOf(type: number, dims: readonly number[]): number {
  return Math.ceil((elementCount(dims) * storageOf(type).bits) / 8);
}

function storageOf(type: number): Storage {
  const storage = STORAGE[type];
  if (!storage) throw new LongConvError("invalid-graph", `a tensor of ${typeName(type)} has no values in bytes`);
  return storage;
}

/**
 * Views little-endian values as a tensor; copies only where they are not aligned.
 * @throws LongConvError `invalid-graph` if the number of bytes does not fit the shape
 */
export function tensorFromBytes(type: number, dims: readonly number[], bytes: Uint8Array): Tensor {
  const { array } = storageOf(type);
  const expected = byteSizeOf(type, dims);
  if (bytes.byteLength !== expected) {
    const shape = `[${dims.join(", ")}]`;
    throw new LongConvError(
      "invalid-graph",
      `${typeName(type)} ${shape} takes ${expected} bytes, got ${bytes.byteLength}`,
    );
  }
  const width = (array as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  // biome-ignore format: one call
  return { type, dims, data: new array(aligned.buffer, aligned.byteOffset, expected / width) };
}

/**
 * Little-endian bytes of a tensor's values, a view of its memory.
 * @throws LongConvError `invalid-graph` for strings
 */
export function tensorBytes(tensor: Tensor): Uint8Array {
  if (!ArrayBuffer.isView(tensor.data)) throw new LongConvError("invalid-graph", "strings have no fixed size in bytes");
  return new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
}

/**
 * A tensor of the given type; checks that the number of values fits the shape.
 * @throws LongConvError `invalid-graph` if it does not
 */
export function makeTensor(type: number, dims: readonly number[], data: TypedArray | readonly string[]): Tensor {
  const expected = ArrayBuffer.isView(data) ? byteSizeOf(type, dims) : elementCount(dims);
  const got = ArrayBuffer.isView(data) ? data.byteLength : data.length;
  if (got !== expected || ArrayBuffer.isView(data) === (type === DataType.STRING)) {
    const shape = `[${dims.join(", ")}]`;
    throw new LongConvError(
      "invalid-graph",
      `${typeName(type)} ${shape} takes ${expected} ${ArrayBuffer.isView(data) ? "bytes" : "strings"}, got ${got}`,
    );
  }
  return { type, dims, data };
}

/** A float32 tensor; values are rounded to float32. */
export function float32Tensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return makeTensor(DataType.FLOAT, dims, values instanceof Float32Array ? values : Float32Array.from(values));
}

/** An int64 tensor from integers. */
export function int64Tensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return makeTensor(DataType.INT64, dims, BigInt64Array.from(Array.from(values), asInt64));
}

/** As float64 the largest int64, which stands for "to the end", is 2^63: one more than int64 holds, and it would wrap around. */
export const asInt64 = (value: number): bigint => {
  const exact = BigInt(value);
  return BigInt.asIntN(64, exact) === exact ? exact : exact > 0n ? 2n ** 63n - 1n : -(2n ** 63n);
};

/** A bool tensor. */
export function boolTensor(dims: readonly number[], values: ArrayLike<boolean>): Tensor {
  return makeTensor(DataType.BOOL, dims, Uint8Array.from(Array.from(values), Number));
}

/**
 * The values of a real numeric tensor as float64, whatever its type (int64 exact up to 2^53).
 * @throws LongConvError `invalid-graph` for strings, complex numbers, and floats of 8 bits and less
 */
export function toNumbers(tensor: Tensor): Float64Array {
  const { type, data } = tensor;
  if (type === DataType.FLOAT16) return Float64Array.from(data as Uint16Array, numberFromFloat16);
  if (type === DataType.BFLOAT16) return Float64Array.from(data as Uint16Array, numberFromBfloat16);
  if (type === DataType.UINT4 || type === DataType.INT4) return fromNibbles(tensor);
  const complex = type === DataType.COMPLEX64 || type === DataType.COMPLEX128;
  if (!ArrayBuffer.isView(data) || complex || type > DataType.BFLOAT16)
    throw new LongConvError("invalid-graph", `a tensor of ${typeName(type)} has no real numbers`);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number);
  // the constructor converts in a native loop; Float64Array.from would go through an iterator
  return new Float64Array(data as ArrayLike<number>);
}

function fromNibbles({ type, dims, data }: Tensor): Float64Array {
  const bytes = data as Uint8Array;
  return Float64Array.from({ length: elementCount(dims) }, (_, k) => {
    const nibble = (bytes[k >> 1]! >> (k % 2 ? 4 : 0)) & 15;
    return type === DataType.INT4 && nibble > 7 ? nibble - 16 : nibble;
  });
}
