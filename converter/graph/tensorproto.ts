/** TensorProto to typed values and back: raw_data or whichever typed field the writer used. */

import { LongConvError } from "../../src/errors.ts";
import { shapeOf } from "./bounds.ts";
import type { TensorProto } from "./proto.ts";
import { int64 } from "./schema.ts";
import {
  byteSizeOf,
  DataType,
  elementCount,
  makeTensor,
  type Tensor,
  type TypedArray,
  tensorBytes,
  tensorFromBytes,
  typeName,
} from "./tensor.ts";

/**
 * Shape of a TensorProto.
 * @throws LongConvError `invalid-graph` for dimensions that no tensor has
 */
export const dimsOf = (proto: TensorProto): number[] => shapeOf(proto.dims, proto.name);

/** Whether the values are in a file of their own. */
export const isExternal = (proto: TensorProto): boolean => proto.dataLocation === 1;

/**
 * Typed values of a TensorProto whose values are in the message itself.
 * @throws LongConvError `invalid-graph` if their number does not fit the shape, or the type is unknown
 */
export function tensorFromProto(proto: TensorProto): Tensor {
  const where = { tensor: proto.name || undefined };
  const type = proto.dataType ?? 0;
  const dims = dimsOf(proto);
  if (type === DataType.STRING) {
    const decoder = new TextDecoder();
    return makeTensor(
      type,
      dims,
      (proto.stringData ?? []).map((bytes) => decoder.decode(bytes)),
    );
  }
  if (proto.rawData?.length || elementCount(dims) === 0) {
    return tensorFromBytes(type, dims, proto.rawData ?? new Uint8Array());
  }
  const data = fromTypedField(proto, type);
  if (!data) throw new LongConvError("invalid-graph", `unknown element type ${typeName(type)}`, where);
  if (data.byteLength !== byteSizeOf(type, dims)) {
    const shape = `[${dims.join(", ")}]`;
    const got = `${byteSizeOf(type, dims)} bytes, got ${data.byteLength}`;
    throw new LongConvError("invalid-graph", `${typeName(type)} ${shape} takes ${got}`, where);
  }
  return { type, dims, data };
}

// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: which field holds which type.
function fromTypedField(proto: TensorProto, type: number): TypedArray | undefined {
  const ints = proto.int32Data ?? [];
  switch (type) {
    case DataType.FLOAT:
    case DataType.COMPLEX64:
      return Float32Array.from(proto.floatData ?? []);
    case DataType.DOUBLE:
    case DataType.COMPLEX128:
      return Float64Array.from(proto.doubleData ?? []);
    case DataType.INT64:
      return BigInt64Array.from(proto.int64Data ?? [], (value) => BigInt(String(value)));
    case DataType.UINT64:
      return BigUint64Array.from(proto.uint64Data ?? [], (value) => BigInt(String(value)));
    case DataType.UINT32:
      return Uint32Array.from(proto.uint64Data ?? [], int64);
    case DataType.INT32:
      return Int32Array.from(ints);
    case DataType.INT16:
      return Int16Array.from(ints);
    case DataType.INT8:
      return Int8Array.from(ints);
    case DataType.UINT16:
    case DataType.FLOAT16:
    case DataType.BFLOAT16:
      return Uint16Array.from(ints);
    default:
      // Unsigned bytes, bool, float8, and the packed types of less than a byte.
      return type <= DataType.INT2 && type !== DataType.UNDEFINED ? Uint8Array.from(ints) : undefined;
  }
}

/** A TensorProto with raw_data (strings: string_data); its bytes are a view of the tensor's. */
export function tensorToProto(name: string, tensor: Tensor): TensorProto {
  const proto: TensorProto = { name, dataType: tensor.type, dims: [...tensor.dims] };
  if (ArrayBuffer.isView(tensor.data)) proto.rawData = tensorBytes(tensor);
  else proto.stringData = tensor.data.map((text) => new TextEncoder().encode(text));
  return proto;
}
