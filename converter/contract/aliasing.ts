/**
 * Whether past and present may share a buffer: every node that reads a past state must have run before the node that
 * writes the present one. Proven from the graph alone, for any order in which the nodes may run.
 */

import type { Model, Node } from "../graph/graph.ts";
import { nodeFromProto } from "../graph/node.ts";
import type { NodeProto } from "../graph/proto.ts";
import { readsOf, subgraphsOf } from "../graph/reads.ts";

/** Outputs of these may be the input's own buffer. */
const VIEWS = new Set(["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"]);

/** These read an element before they write it, so that they may write onto what they read, if neither is broadcast. */
const IN_PLACE = new Set(["Add", "Sub", "Mul", "Div", "Neg", "Identity", "Clip", "Tanh", "Where"]);

interface Scope {
  readonly nodes: readonly Node[];
}

/**
 * Looks for a node that might read the past after the present was written.
 * @returns undefined where there is none, else a sentence that names the node
 */
export function aliasingHazard({ graph }: Model, past: string, present: string): string | undefined {
  return hazardIn({ nodes: graph.nodes }, past, present);
}

function hazardIn(scope: Scope, past: string, present: string): string | undefined {
  const producers = new Map(scope.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const writer = producers.get(present);
  if (!writer) return present === past ? undefined : `'${present}' is made by no node`;
  const views = viewsOf(scope.nodes, past);
  const before = ancestors(writer, producers);
  for (const node of scope.nodes) {
    if (node === writer || !reads(node, views)) continue;
    if (!before.has(node)) return `node '${node.name}' (${node.op}) may read '${past}' after '${present}' is written`;
  }
  if (!reads(writer, views)) return undefined;
  const branches = (writer.proto.attribute ?? []).flatMap(subgraphsOf);
  if (branches.length === 0) {
    if (IN_PLACE.has(writer.op) || VIEWS.has(writer.op)) return undefined;
    return `node '${writer.name}' (${writer.op}) reads '${past}' while it writes '${present}'`;
  }
  if (writer.op !== "If") return `node '${writer.name}' (${writer.op}) reads '${past}' and writes '${present}'`;
  const output = writer.outputs.indexOf(present);
  for (const branch of branches) {
    const nodes = (branch.node ?? []).map((proto: NodeProto, i) => nodeFromProto(proto, `${writer.name}_${i}`));
    const inner = branch.output?.[output]?.name ?? "";
    for (const name of views) {
      const hazard = hazardIn({ nodes }, name, inner);
      if (hazard) return `${hazard}, in a branch of '${writer.name}'`;
    }
  }
  return undefined;
}

/** The tensor itself and those that may lie in its buffer. */
function viewsOf(nodes: readonly Node[], tensor: string): Set<string> {
  const views = new Set([tensor]);
  for (const node of nodes) if (VIEWS.has(node.op) && views.has(node.inputs[0] ?? "")) views.add(node.outputs[0]!);
  return views;
}

const reads = (node: Node, tensors: ReadonlySet<string>): boolean => {
  const read = readsOf(node);
  return [...tensors].some((name) => read.has(name));
};

/** Nodes that must have run before this one. */
function ancestors(node: Node, producers: ReadonlyMap<string, Node>): Set<Node> {
  const found = new Set<Node>();
  const open = [node];
  for (let next = open.pop(); next; next = open.pop()) {
    for (const name of readsOf(next)) {
      const producer = producers.get(name);
      if (producer && !found.has(producer)) {
        found.add(producer);
        open.push(producer);
      }
    }
  }
  return found;
}
