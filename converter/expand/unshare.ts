/** A mask that drivers give, prepared once for all layers, is prepared for each: an attention is followed one at a time. */
import { ATTENTION_MASK } from "../../src/contract.ts";
import { type Builder, rewire } from "../graph/build.ts";
import type { Graph, Node } from "../graph/graph.ts";

/** Operators that give no more of their input than its sizes. */
const SIZES = new Set(["Shape", "Size"]);
/** Operators that masks are made with; a running sum, of which positions are made, is a state, and stays one. */
const MAKERS = new Set(
  [
    [
      "Cast",
      "Identity",
      "Unsqueeze",
      "Squeeze",
      "Reshape",
      "Expand",
      "Transpose",
      "And",
      "Or",
      "Not",
      "Where",
      "Add",
      "Sub",
    ],
    ["Mul", "Div", "Max", "Min", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"],
  ].flat(),
);

/** The nodes, with those that make a mask repeated in front of every second reader of what they make. */
export function unshared(b: Builder, { inputs }: Pick<Graph, "inputs">, nodes: readonly Node[]): readonly Node[] {
  if (!inputs.some(({ name }) => name === ATTENTION_MASK)) return nodes;
  const makers = maskMakers(
    inputs.map(({ name }) => name),
    nodes,
  );
  const readers = new Map<string, number>();
  return nodes.flatMap((node) => {
    if (makers.has(node.outputs[0] ?? "")) return [node];
    const copies: Node[] = [];
    const copied = new Map<string, string>();
    const inputs = node.inputs.map((name) => {
      const count = (readers.get(name) ?? 0) + 1;
      if (!makers.has(name)) return name;
      readers.set(name, count);
      return count === 1 ? name : copyOf(b, makers, name, copied, copies);
    });
    return copies.length > 0 ? [...copies, rewire(node, { inputs })] : [node];
  });
}

/** Nodes whose only data is the mask, by their output. */
function maskMakers(inputs: readonly string[], nodes: readonly Node[]): ReadonlyMap<string, Node> {
  const makers = new Map<string, Node>();
  const others = new Set(inputs.filter((name) => name !== ATTENTION_MASK));
  for (const node of nodes) {
    if (SIZES.has(node.op)) continue;
    const isOther = node.inputs.some((name) => others.has(name)) || !MAKERS.has(node.op) || node.domain !== "";
    const isMask = node.inputs.some((name) => name === ATTENTION_MASK || makers.has(name));
    if (isMask && !isOther) makers.set(node.outputs[0]!, node);
    else if (isMask || node.inputs.some((name) => others.has(name))) for (const name of node.outputs) others.add(name);
  }
  return makers;
}

function copyOf(
  b: Builder,
  makers: ReadonlyMap<string, Node>,
  name: string,
  copied: Map<string, string>,
  copies: Node[],
): string {
  const maker = makers.get(name);
  if (!maker) return name;
  const known = copied.get(name);
  if (known !== undefined) return known;
  const inputs = maker.inputs.map((input) => copyOf(b, makers, input, copied, copies));
  const output = b.name(name);
  copies.push(rewire(maker, { inputs, outputs: [output], name: b.name(maker.name) }));
  copied.set(name, output);
  return output;
}
