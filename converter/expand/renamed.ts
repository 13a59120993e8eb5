/** Nodes of a function or a branch, in the names of the graph that they are written into. */
import type { Builder } from "../graph/build.ts";
import { mapSubgraphs } from "../graph/node.ts";
import type { AttributeProto, GraphProto, NodeProto } from "../graph/proto.ts";
import { withFields } from "../graph/schema.ts";

/**
 * A copy of a node in other names; `names` grows by the tensors that the node makes.
 * @param attributes what stands for the attributes of a function
 * @param prefix of the names that it makes
 */
export function renamed(
  node: NodeProto,
  names: Map<string, string>,
  attributes: ReadonlyMap<string, AttributeProto>,
  prefix: string,
  builder: Builder,
): NodeProto {
  const inputs = (node.input ?? []).map((name) => names.get(name) ?? name);
  const attribute = (node.attribute ?? []).flatMap((each) => {
    if (!each.refAttrName) return [each];
    const value = attributes.get(each.refAttrName);
    return value ? [withFields(value, { name: each.name ?? "" })] : [];
  });
  const inSubgraph = (graph: GraphProto): GraphProto => {
    // Names of a subgraph are its own, but may not be those of any graph around it.
    const inner = new Map(names);
    const fresh = <T extends { name?: string | null }>(each: T): T => {
      inner.set(each.name ?? "", builder.name(`${prefix}/${each.name}`));
      return withFields(each, { name: inner.get(each.name ?? "")! } as Partial<T>);
    };
    const input = (graph.input ?? []).map(fresh);
    const initializer = (graph.initializer ?? []).map(fresh);
    const nodes = (graph.node ?? []).map((each) => renamed(each, inner, attributes, prefix, builder));
    const output = (graph.output ?? []).map((each) =>
      withFields(each, { name: inner.get(each.name ?? "") ?? each.name! }),
    );
    return withFields(graph, { input, initializer, node: nodes, output, valueInfo: [] });
  };
  const outputs = (node.output ?? []).map((name) => {
    if (!names.has(name)) names.set(name, builder.name(`${prefix}/${name}`));
    return names.get(name)!;
  });
  const name = builder.name(`${prefix}/${node.name || node.opType}`);
  return mapSubgraphs(withFields(node, { name, input: inputs, output: outputs, attribute }), inSubgraph);
}
