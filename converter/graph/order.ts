/** Checks that a graph hangs together and brings its nodes into topological order. */
import { LongConvError } from "../../src/errors.ts";
import { type Node, whereOf } from "./graph.ts";
import { readsOf } from "./reads.ts";

const REMEDY = "Export the model again; the file is damaged or was edited by hand.";

/**
 * Nodes in topological order; an order that is already one stays as it is.
 * @param given names of the graph's inputs and initializers
 * @param outputs names of the graph's outputs
 * @throws LongConvError `invalid-graph` for a tensor made twice, a tensor that nobody makes, and cycles
 */
export function topological(
  nodes: readonly Node[],
  given: Iterable<string>,
  outputs: readonly string[],
  file: string,
): Node[] {
  const fail = (node: Node, reason: string, tensor: string) =>
    new LongConvError("invalid-graph", reason, { ...whereOf({ file }, node), tensor }, REMEDY);
  const known = new Set(given);
  const producer = new Map<string, Node>();
  for (const node of nodes) {
    for (const name of node.outputs) {
      if (!name) continue;
      if (known.has(name) || producer.has(name)) throw fail(node, "makes a tensor that is made elsewhere too", name);
      producer.set(name, node);
    }
  }
  const sorted: Node[] = [];
  const state = new Map<Node, "open" | "done">();
  for (const start of nodes) {
    // Depth first with a stack of our own: graphs can be deeper than the call stack.
    const stack: { node: Node; reads: Iterator<string> }[] = [];
    const visit = (node: Node) => {
      state.set(node, "open");
      stack.push({ node, reads: readsOf(node).values() });
    };
    if (!state.has(start)) visit(start);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const { value: name, done } = top.reads.next();
      if (done) {
        state.set(top.node, "done");
        sorted.push(top.node);
        stack.pop();
        continue;
      }
      if (known.has(name)) continue;
      const source = producer.get(name);
      if (!source) throw fail(top.node, "reads a tensor that nothing makes", name);
      if (state.get(source) === "open") throw fail(source, "is part of a cycle: its output feeds back into it", name);
      if (!state.has(source)) visit(source);
    }
  }
  for (const name of outputs) {
    if (known.has(name) || producer.has(name)) continue;
    throw new LongConvError(
      "invalid-graph",
      "an output of the graph that nothing makes",
      { file, tensor: name },
      REMEDY,
    );
  }
  return sorted;
}
