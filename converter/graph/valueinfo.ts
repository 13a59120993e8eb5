/** Declared inputs and outputs, from and to ValueInfoProto. */

import { dimension } from "./bounds.ts";
import type { DeclaredDim, ValueInfo } from "./graph.ts";
import type { Dimension, TypeProto, ValueInfoProto } from "./proto.ts";
import { withFields } from "./schema.ts";

/**
 * Decodes a ValueInfoProto; sequences, maps and optionals have type 0.
 * @throws LongConvError `invalid-graph` for dimensions that no tensor has
 */
export function valueInfoFromProto(proto: ValueInfoProto): ValueInfo {
  const tensor = proto.type?.tensorType;
  const dims = tensor?.shape?.dim?.map((dim) => declaredDim(dim, proto.name ?? "")) ?? (tensor?.shape ? [] : undefined);
  return { name: proto.name ?? "", type: tensor?.elemType ?? 0, dims, proto };
}

function declaredDim(proto: Dimension, tensor: string): DeclaredDim {
  if (proto.dimParam) return proto.dimParam;
  return Object.hasOwn(proto, "dimValue") && proto.dimValue != null ? dimension(proto.dimValue, tensor) : undefined;
}

/**
 * Encodes a declared input or output; the message that it came with is kept where it still says the same. Type 0 is
 * written without a type, which ONNX Runtime infers for outputs.
 */
export function valueInfoToProto(info: ValueInfo): ValueInfoProto {
  const { proto } = info;
  if (!proto) return info.type === 0 ? { name: info.name } : { name: info.name, type: typeProto(info) };
  const said = valueInfoFromProto(proto);
  if (said.type === info.type && sameDims(said.dims, info.dims))
    return said.name === info.name ? proto : withFields(proto, { name: info.name });
  return withFields(proto, { name: info.name, type: typeProto(info) });
}

function sameDims(a: readonly DeclaredDim[] | undefined, b: readonly DeclaredDim[] | undefined): boolean {
  if (!a || !b) return a === b;
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

function typeProto({ type, dims }: ValueInfo): TypeProto {
  const dim = dims?.map((value) =>
    typeof value === "string" ? { dimParam: value } : value === undefined ? {} : { dimValue: value },
  );
  return { tensorType: { elemType: type, ...(dim ? { shape: { dim } } : {}) } };
}
