/** Tensors to and from ONNX Runtime's. */

import { LongConvError } from "../../src/errors.ts";
import { Tensor as OrtTensor } from "../../src/onnxruntime-node.ts";
import { DataType, type Tensor, type TypedArray } from "../graph/tensor.ts";

// https://onnxruntime.ai/docs/api/js: names of the element types.
const ORT_TYPES: readonly (readonly [number, OrtTensor.Type])[] = [
  [DataType.FLOAT, "float32"],
  [DataType.UINT8, "uint8"],
  [DataType.INT8, "int8"],
  [DataType.UINT16, "uint16"],
  [DataType.INT16, "int16"],
  [DataType.INT32, "int32"],
  [DataType.INT64, "int64"],
  [DataType.STRING, "string"],
  [DataType.BOOL, "bool"],
  [DataType.FLOAT16, "float16"],
  [DataType.DOUBLE, "float64"],
  [DataType.UINT32, "uint32"],
  [DataType.UINT64, "uint64"],
];
const toOrt = new Map(ORT_TYPES);
const fromOrt = new Map(ORT_TYPES.map(([type, name]) => [name, type]));

/** The same values as ONNX Runtime takes them. */
export function ortTensor(name: string, { type, dims, data }: Tensor): OrtTensor {
  const ortType = toOrt.get(type);
  if (!ortType) throw new LongConvError("runtime-failed", `element type ${type} cannot be given`, { tensor: name });
  // Where the engine has Float16Array, ONNX Runtime wants it; the bits are the same.
  const half = (
    globalThis as { Float16Array?: new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray }
  ).Float16Array;
  const values =
    type === DataType.FLOAT16 && half && ArrayBuffer.isView(data)
      ? new half(data.buffer, data.byteOffset, data.length)
      : data;
  return new OrtTensor(ortType as "float32", values as Float32Array, [...dims]);
}

/** The values of a tensor of ONNX Runtime. */
export function ownTensor(name: string, value: OrtTensor): Tensor {
  const type = fromOrt.get(value.type);
  if (type === undefined)
    throw new LongConvError("runtime-failed", `element type ${value.type} is not read`, { tensor: name });
  const data = value.data as TypedArray | string[];
  const plain =
    type === DataType.FLOAT16 && ArrayBuffer.isView(data)
      ? new Uint16Array(data.buffer, data.byteOffset, data.length)
      : data;
  return { type, dims: [...value.dims], data: plain };
}
