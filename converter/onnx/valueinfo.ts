/** Declared inputs and outputs, from and to ValueInfoProto. */

import type { DeclaredDim, ValueInfo } from "./graph.ts";
import type { Dimension, TypeProto, ValueInfoProto } from "./proto.ts";
import { int64, withFields } from "./schema.ts";

/** Decodes a ValueInfoProto; sequences, maps and optionals have type 0. */
export function valueInfoFromProto(proto: ValueInfoProto): ValueInfo {
  const tensor = proto.type?.tensorType;
  const dims = tensor?.shape?.dim?.map(declaredDim) ?? (tensor?.shape ? [] : undefined);
  return { name: proto.name ?? "", type: tensor?.elemType ?? 0, dims, proto };
}

function declaredDim(proto: Dimension): DeclaredDim {
  if (proto.dimParam) return proto.dimParam;
  return Object.hasOwn(proto, "dimValue") && proto.dimValue != null ? int64(proto.dimValue) : undefined;
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
