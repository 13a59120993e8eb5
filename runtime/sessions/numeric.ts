/** Typed arrays of the tensors that the runtime makes and copies. */

import { LongConvError } from "../../src/errors.ts";
import type { Tensor } from "./ort.ts";

/** onnx.TensorProto.DataType of the types that hold numbers. */
const ELEMENT_TYPES: Partial<Record<Tensor.Type, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

/** The type as ONNX numbers it; undefined for types that hold no numbers, or packed ones. */
export const elementOfType = (type: Tensor.Type): number | undefined => ELEMENT_TYPES[type];

/** The opposite of {@link elementOfType}. */
export const typeOfElement = (element: number): Tensor.Type | undefined =>
  (Object.keys(ELEMENT_TYPES) as Tensor.Type[]).find((type) => ELEMENT_TYPES[type] === element);

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

export type NumericData = InstanceType<(typeof ARRAYS)[keyof typeof ARRAYS]>;

/** Zeros for a tensor of a numeric type; float16 as its bits. */
export function zeros(type: Tensor.Type, length: number): NumericData {
  const TypedArray = ARRAYS[type as keyof typeof ARRAYS];
  if (!TypedArray) throw new LongConvError("not-converted", `a state of type ${type} is not supported`);
  return new TypedArray(length);
}

/** The same with another number. */
export function filled(type: Tensor.Type, length: number, value: number): NumericData {
  const data = zeros(type, length);
  if (value === 0) return data;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(BigInt(value));
  else data.fill(value);
  return data;
}

/** The numbers of a tensor on the CPU, float16 as its bits. */
export const cpuData = (tensor: Tensor): NumericData => withBits(tensor.type, tensor.data as NumericData);

const downloads = new WeakMap<Tensor, Promise<NumericData>>();

/** The numbers of a tensor, float16 as its bits, downloaded where it is on a GPU. Its buffer there stays until it is disposed. */
export async function dataOf(tensor: Tensor): Promise<NumericData> {
  if (tensor.location === "cpu") return cpuData(tensor);
  // ONNX Runtime refuses a second download while the first is under way.
  const known = downloads.get(tensor);
  if (known) return known;
  const download = (tensor.getData() as Promise<NumericData>).then((data) => withBits(tensor.type, data));
  downloads.set(tensor, download);
  return download;
}

/** onnxruntime-common gives float16 as a Float16Array where JavaScript has one, which reads as numbers. */
const withBits = (type: Tensor.Type, data: NumericData): NumericData =>
  type === "float16" && !(data instanceof Uint16Array)
    ? new Uint16Array(data.buffer, data.byteOffset, data.length)
    : data;

/** Float32 values of a float32 or float16 array of the given type, as {@link dataOf} gives it. */
export function toFloat32(type: Tensor.Type, data: NumericData): Float32Array {
  return type === "float16" ? Float32Array.from(data as Uint16Array, halfToNumber) : (data as Float32Array);
}

/** Whether all are numbers, and none infinite, as {@link dataOf} gives them. */
export function allFinite(type: Tensor.Type, data: NumericData): boolean {
  if (type === "float16") return (data as Uint16Array).every((bits) => (bits & 0x7c00) !== 0x7c00);
  return type === "float32" || type === "float64" ? (data as Float32Array).every(Number.isFinite) : true;
}

/** Row `fromRow` of one array into row `toRow` of another of the same type; `size` numbers a row. */
export function copyRow(to: NumericData, toRow: number, from: NumericData, fromRow: number, size: number): void {
  // Both have the type of the same state, so that bigint meets bigint.
  (to as Float32Array).set((from as Float32Array).subarray(fromRow * size, (fromRow + 1) * size), toRow * size);
}

/** The value of an IEEE 754 half precision number given by its bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
