/** Nodes: made, decoded, rewired, and what they read, subgraphs included. */

import { type AttributeInput, decodeAttributes, encodeAttributes } from "./attributes.ts";
import type { Node } from "./graph.ts";
import type { GraphProto, NodeProto } from "./proto.ts";
import { subgraphsOf } from "./reads.ts";
import { withFields } from "./schema.ts";

/** What a new node may say beyond its operator, inputs and outputs. */
export interface NodeOptions {
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeInput | undefined>>;
  /** The node whose place it takes: its metadata (module path, source line) is copied. */
  readonly origin?: Node;
}

/** A new node. `name` must be unique in the graph. */
export function makeNode(
  name: string,
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  options: NodeOptions = {},
): Node {
  const proto: NodeProto = { name, opType: op, input: [...inputs], output: [...outputs] };
  if (options.domain) proto.domain = options.domain;
  if (options.attributes) proto.attribute = encodeAttributes(options.attributes);
  const metadata = (options.origin?.proto as NodeProto | undefined)?.metadataProps;
  if (metadata?.length) proto.metadataProps = metadata;
  return nodeFromProto(proto, name);
}

/** Decodes a NodeProto; `name` is used where the message has none. */
export function nodeFromProto(proto: NodeProto, name: string): Node {
  return {
    name: proto.name || name,
    op: proto.opType ?? "",
    domain: standardDomain(proto.domain),
    inputs: proto.input ?? [],
    outputs: proto.output ?? [],
    attributes: decodeAttributes(proto.attribute),
    proto,
  };
}

/** "" for the standard operators, also where a file says "ai.onnx". */
export const standardDomain = (domain: string | null | undefined): string =>
  domain === "ai.onnx" ? "" : (domain ?? "");

/** The same node with other inputs, outputs or name; its message follows. */
export function rewire(
  node: Node,
  changes: { readonly inputs?: readonly string[]; readonly outputs?: readonly string[]; readonly name?: string },
): Node {
  const { inputs = node.inputs, outputs = node.outputs, name = node.name } = changes;
  const proto = withFields(node.proto, { input: [...inputs], output: [...outputs], name });
  return { ...node, name, inputs, outputs, proto };
}

/** The same node with these attributes set; the others stay as the file has them. */
export function withAttributes(node: Node, attributes: Readonly<Record<string, AttributeInput>>): Node {
  const kept = (node.proto.attribute ?? []).filter(({ name }) => !Object.hasOwn(attributes, name ?? ""));
  return nodeFromProto(withFields(node.proto, { attribute: [...kept, ...encodeAttributes(attributes)] }), node.name);
}

/** The same node with each of its subgraphs changed. */
export function mapSubgraphs(proto: NodeProto, change: (graph: GraphProto) => GraphProto): NodeProto {
  if (!proto.attribute?.some((attribute) => subgraphsOf(attribute).length)) return proto;
  const attribute = proto.attribute.map((each) =>
    subgraphsOf(each).length
      ? withFields(each, {
          ...(each.g && { g: change(each.g) }),
          ...(each.graphs?.length && { graphs: each.graphs.map(change) }),
        })
      : each,
  );
  return withFields(proto, { attribute });
}
