/** Initializers: constants of the graph whose values are read when asked for. */

import { readExternal } from "./external.ts";
import type { ExternalValues, Initializer } from "./graph.ts";
import type { TensorProto } from "./proto.ts";
import { DataType, type Tensor, tensorBytes, tensorFromBytes } from "./tensor.ts";
import { dimsOf, tensorFromProto, tensorToProto } from "./tensorproto.ts";

/** A new initializer; it holds the tensor's memory, not a copy. */
export function initializerOf(name: string, tensor: Tensor): Initializer {
  const proto = tensorToProto(name, tensor);
  const { type, dims } = tensor;
  return { name, type, dims, proto, tensor: () => tensor, bytes: () => tensorBytes(tensor) };
}

/** Decodes an initializer; `external` says where its values are, if not in the message. */
export function initializerFromProto(proto: TensorProto, external?: ExternalValues): Initializer {
  const head = { name: proto.name ?? "", type: proto.dataType ?? 0, dims: dimsOf(proto), proto };
  if (external) {
    const bytes = () => readExternal(external);
    return { ...head, external, bytes, tensor: () => tensorFromBytes(head.type, head.dims, bytes()) };
  }
  const tensor = () => tensorFromProto(proto);
  const bytes = () => (proto.rawData?.length && head.type !== DataType.STRING ? proto.rawData : tensorBytes(tensor()));
  return { ...head, tensor, bytes };
}
