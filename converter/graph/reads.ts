/** What nodes and their subgraphs read. */
import type { AttributeProto, GraphProto, NodeProto } from "./proto.ts";

/** Names of all tensors that a node reads: its inputs that are not left out, and what its subgraphs take from outside. */
export function readsOf(node: { readonly inputs: readonly string[]; readonly proto: NodeProto }): Set<string> {
  const reads = new Set(node.inputs);
  for (const attribute of node.proto.attribute ?? []) {
    for (const graph of subgraphsOf(attribute)) for (const name of outerReads(graph)) reads.add(name);
  }
  reads.delete("");
  return reads;
}

/** Subgraphs of an attribute. */
export function subgraphsOf(attribute: AttributeProto): GraphProto[] {
  return [...(attribute.g ? [attribute.g] : []), ...(attribute.graphs ?? [])];
}

/** Names that a subgraph reads from the graphs around it. */
export function outerReads(graph: GraphProto): Set<string> {
  const reads = new Set<string>();
  const inside = new Set<string>();
  for (const input of graph.input ?? []) inside.add(input.name ?? "");
  for (const tensor of graph.initializer ?? []) inside.add(tensor.name ?? "");
  for (const sparse of graph.sparseInitializer ?? []) inside.add(sparse.values?.name ?? "");
  for (const proto of graph.node ?? []) {
    for (const name of proto.input ?? []) reads.add(name);
    for (const name of proto.output ?? []) inside.add(name);
    for (const attribute of proto.attribute ?? []) {
      for (const inner of subgraphsOf(attribute)) for (const name of outerReads(inner)) reads.add(name);
    }
  }
  for (const output of graph.output ?? []) reads.add(output.name ?? "");
  for (const name of inside) reads.delete(name);
  reads.delete("");
  return reads;
}
