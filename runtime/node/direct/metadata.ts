/** What a session says of its inputs and outputs. */

import { typeOfElement } from "../../sessions/numeric.ts";
import type { InferenceSession } from "../../sessions/ort.ts";
import type { Api } from "./api.ts";

export type Metadata = InferenceSession.TensorValueMetadata;

/** Inputs or outputs in their order; undefined where one is no tensor of numbers. */
export function metadataOf(api: Api, session: bigint, side: "Input" | "Output"): Metadata[] | undefined {
  const count = Number(api.get(`SessionGet${side}Count`, session));
  const all: Metadata[] = [];
  for (let index = 0; index < count; index++) {
    const name = nameOf(api, session, side, index);
    const info = api.get(`SessionGet${side}TypeInfo`, session, index);
    // belongs to `info`, and is nothing where the value is a sequence, say
    const tensor = api.get("CastTypeInfoToTensorInfo", info);
    const type = tensor === 0n ? undefined : typeOfElement(elementTypeOf(api, tensor));
    if (type !== undefined) all.push({ name, isTensor: true, type, shape: shapeOf(api, tensor) });
    api.release("TypeInfo", info);
    if (type === undefined) return undefined;
  }
  return all;
}

function nameOf(api: Api, session: bigint, side: "Input" | "Output", index: number): string {
  const address = api.get(`SessionGet${side}Name`, session, index, api.allocator);
  const name = api.text(address);
  api.call("AllocatorFree", api.allocator, address);
  return name;
}

/** onnx.TensorProto.DataType of an OrtTensorTypeAndShapeInfo. */
export function elementTypeOf(api: Api, tensor: bigint): number {
  const type = new Int32Array(1);
  api.call("GetTensorElementType", tensor, type);
  return type[0]!;
}

/** Dimensions of an OrtTensorTypeAndShapeInfo, -1 where they are not fixed. */
export function dimsOf(api: Api, tensor: bigint): number[] {
  const dims = new BigInt64Array(Number(api.get("GetDimensionsCount", tensor)));
  api.call("GetDimensions", tensor, dims, dims.length);
  return Array.from(dims, Number);
}

/** Dimensions, with their names where they are not fixed. */
function shapeOf(api: Api, tensor: bigint): (number | string)[] {
  const dims = dimsOf(api, tensor);
  const names = new BigUint64Array(dims.length);
  api.call("GetSymbolicDimensions", tensor, names, dims.length);
  return dims.map((dim, axis) => (dim < 0 ? api.text(names[axis]!) : dim));
}
