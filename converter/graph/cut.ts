/** Cuts a sub-model out of a model: from given tensors to wanted ones, with nothing that is not needed. */
import { LongConvError } from "../../src/errors.ts";
import { type Initializer, indexGraph, type Model, type Node, type ValueInfo } from "./graph.ts";
import { readsOf } from "./reads.ts";
import { withFields } from "./schema.ts";

/**
 * The sub-model that computes `outputs` from `inputs`. Every name in `inputs` becomes a graph input, also where it was
 * an intermediate tensor or an initializer; an output may be one of the inputs or an initializer.
 * @param outputs names (their declared type is taken from the model where it has one) or declarations
 * @throws LongConvError `invalid-graph` if an output depends on an input of the model that is not given, or does not exist
 */
export function cut(model: Model, inputs: readonly ValueInfo[], outputs: readonly (ValueInfo | string)[]): Model {
  const { graph } = model;
  const { producer } = indexGraph(graph);
  const given = new Set(inputs.map((info) => info.name));
  const declared = new Map(graph.outputs.map((info) => [info.name, info]));
  const wanted = outputs.map((output) =>
    typeof output === "string" ? (declared.get(output) ?? { name: output, type: 0, dims: undefined }) : output,
  );

  const needed = new Set<Node>();
  const initializers = new Map<string, Initializer>();
  const names = wanted.map((info) => info.name);
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    if (given.has(name)) continue;
    const node = producer.get(name);
    const initializer = graph.initializers.get(name);
    if (initializer) initializers.set(name, initializer);
    else if (!node) throw notGiven(model, name, wanted);
    else if (!needed.has(node)) {
      needed.add(node);
      names.push(...readsOf(node));
    }
  }
  const nodes = graph.nodes.filter((node) => needed.has(node)).map((node) => hideOutputs(node, given));
  // Declared shapes of inner tensors go: they need not hold for what is given here.
  const shell = withFields(model.proto.graph ?? {}, { input: [], valueInfo: [], quantizationAnnotation: [] });
  return {
    ...model,
    graph: { inputs: [...inputs], outputs: wanted, nodes, initializers },
    proto: withFields(model.proto, { graph: shell }),
  };
}

function notGiven(model: Model, tensor: string, wanted: readonly ValueInfo[]): LongConvError {
  const isInput = model.graph.inputs.some((info) => info.name === tensor);
  const goal = wanted.map((info) => `'${info.name}'`).join(", ");
  const reason = isInput
    ? `${goal} depends on the model's input '${tensor}', which is not given`
    : `no tensor of this name, needed for ${goal}`;
  return new LongConvError("invalid-graph", reason, { file: model.file || undefined, tensor });
}

// A node with several outputs may be needed for one of them while another is given from outside: that one is renamed.
function hideOutputs(node: Node, given: ReadonlySet<string>): Node {
  if (!node.outputs.some((name) => given.has(name))) return node;
  const outputs = node.outputs.map((name) => (given.has(name) ? `${name}/not_used_in_cut` : name));
  return { ...node, outputs, proto: withFields(node.proto, { output: outputs }) };
}
