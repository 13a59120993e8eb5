/** Other names for tensors, wherever a graph and its subgraphs speak of them. */
import type { Graph, Initializer } from "./graph.ts";
import { mapSubgraphs, nodeFromProto } from "./node.ts";
import type { GraphProto, NodeProto, ValueInfoProto } from "./proto.ts";
import { withFields } from "./schema.ts";

/** @param names old -> new; a new name is none of the graph's, or has a new one itself */
export function renameTensors(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const other = (name: string): string => names.get(name) ?? name;
  const inNode = (proto: NodeProto): NodeProto =>
    mapSubgraphs(
      withFields(proto, { input: (proto.input ?? []).map(other), output: (proto.output ?? []).map(other) }),
      inSubgraph,
    );
  const named = <T extends { name?: string | null }>(each: T): T =>
    withFields(each, { name: other(each.name ?? "") } as Partial<T>);
  const inSubgraph = (inner: GraphProto): GraphProto =>
    withFields(inner, {
      input: (inner.input ?? []).map(named),
      output: (inner.output ?? []).map(named),
      initializer: (inner.initializer ?? []).map(named),
      node: (inner.node ?? []).map(inNode),
      valueInfo: [] as ValueInfoProto[],
    });
  const declared = <T extends { readonly name: string }>(each: T): T => ({ ...each, name: other(each.name) });
  const initializer = (each: Initializer): Initializer =>
    names.has(each.name) ? { ...each, name: other(each.name), proto: named(each.proto) } : each;
  return {
    ...graph,
    inputs: graph.inputs.map(declared),
    outputs: graph.outputs.map(declared),
    initializers: new Map([...graph.initializers.values()].map((each) => [other(each.name), initializer(each)])),
    nodes: graph.nodes.map((node) => nodeFromProto(inNode(node.proto), node.name)),
  };
}
