/** Attributes of nodes: decoded to plain values, encoded from values that say what they are. */

import { LongConvError } from "../../src/errors.ts";
import { attributeInteger } from "./bounds.ts";
import type { Attributes, AttributeValue } from "./graph.ts";
import type { AttributeProto, GraphProto } from "./proto.ts";
import type { Tensor } from "./tensor.ts";
import { tensorFromProto, tensorToProto } from "./tensorproto.ts";

/** onnx.AttributeProto.AttributeType, as far as we write it. */
const Kind = { FLOAT: 1, INT: 2, STRING: 3, TENSOR: 4, GRAPH: 5, FLOATS: 6, INTS: 7, STRINGS: 8 } as const;

/** An attribute to write. A bare number is an INT, a bare array INTS, a bare string a STRING; floats say so. */
export type AttributeInput =
  | number
  | string
  | readonly number[]
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly string: string }
  | { readonly strings: readonly string[] }
  | { readonly tensor: Tensor }
  | { readonly graph: GraphProto };

/**
 * Decodes attributes by name. INT and INTS are numbers (sentinels such as the least int64 lose their last digits);
 * kinds that have no plain value (types, sparse tensors, lists of graphs and tensors) and references to a function's
 * attribute are left out; they stay in the node's `proto`.
 * @throws LongConvError `invalid-graph` for an axis or a size that is out of every bound, and a tensor without its values
 */
export function decodeAttributes(protos: readonly AttributeProto[] | null | undefined): Attributes {
  const attributes: Record<string, AttributeValue> = {};
  for (const proto of protos ?? []) {
    const value = proto.refAttrName ? undefined : decodeAttribute(proto);
    if (value !== undefined) attributes[proto.name ?? ""] = value;
  }
  return attributes;
}

function decodeAttribute(proto: AttributeProto): AttributeValue | undefined {
  // protobufjs gives an absent field as an empty array
  const text = (bytes: unknown) => new TextDecoder().decode(bytes instanceof Uint8Array ? bytes : new Uint8Array());
  switch (proto.type || guessKind(proto)) {
    case Kind.FLOAT:
      return proto.f ?? 0;
    case Kind.INT:
      return attributeInteger(proto.name ?? "", proto.i);
    case Kind.STRING:
      return text(proto.s);
    case Kind.TENSOR:
      return tensorFromProto(proto.t ?? {});
    case Kind.GRAPH:
      return proto.g ?? {};
    case Kind.FLOATS:
      return [...(proto.floats ?? [])];
    case Kind.INTS:
      return (proto.ints ?? []).map((value) => attributeInteger(proto.name ?? "", value));
    case Kind.STRINGS:
      return (proto.strings ?? []).map(text);
  }
  return undefined;
}

// Files before IR 2 have no type in their attributes.
function guessKind(proto: AttributeProto): number {
  const has = (field: keyof AttributeProto) => Object.hasOwn(proto, field) && proto[field] != null;
  if (has("f")) return Kind.FLOAT;
  if (has("i")) return Kind.INT;
  if (has("s")) return Kind.STRING;
  if (has("t")) return Kind.TENSOR;
  if (has("g")) return Kind.GRAPH;
  if (has("floats")) return Kind.FLOATS;
  if (has("ints")) return Kind.INTS;
  return has("strings") ? Kind.STRINGS : 0;
}

/**
 * Encodes attributes in the order given.
 * @throws LongConvError `invalid-graph` for an INT that is not a safe integer
 */
export function encodeAttributes(inputs: Readonly<Record<string, AttributeInput | undefined>>): AttributeProto[] {
  return Object.entries(inputs).flatMap(([name, input]) => (input === undefined ? [] : [encodeAttribute(name, input)]));
}

function encodeAttribute(name: string, input: AttributeInput): AttributeProto {
  const bytes = (text: string) => new TextEncoder().encode(text);
  if (typeof input === "number") return encodeAttribute(name, { int: input });
  if (typeof input === "string") return encodeAttribute(name, { string: input });
  if (isArray(input)) return encodeAttribute(name, { ints: input });
  if ("int" in input) return { name, type: Kind.INT, i: checkInt(name, input.int) };
  if ("float" in input) return { name, type: Kind.FLOAT, f: input.float };
  if ("ints" in input) return { name, type: Kind.INTS, ints: input.ints.map((value) => checkInt(name, value)) };
  if ("floats" in input) return { name, type: Kind.FLOATS, floats: [...input.floats] };
  if ("string" in input) return { name, type: Kind.STRING, s: bytes(input.string) };
  if ("strings" in input) return { name, type: Kind.STRINGS, strings: input.strings.map(bytes) };
  if ("tensor" in input) return { name, type: Kind.TENSOR, t: tensorToProto("", input.tensor) };
  return { name, type: Kind.GRAPH, g: input.graph };
}

const isArray = (input: AttributeInput): input is readonly number[] => Array.isArray(input);

function checkInt(name: string, value: number): number {
  if (Number.isSafeInteger(value)) return value;
  const remedy = "Write { float: … } for a FLOAT.";
  throw new LongConvError("invalid-graph", `attribute '${name}' must be an integer, got ${value}`, {}, remedy);
}
