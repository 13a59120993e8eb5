/** How what an opening mixes spreads: the nodes taken so far, and what a further one must be to be taken. */
import type { GraphIndex, Node } from "../graph/graph.ts";
import type { Refusal, TimeFacts } from "../time/follow.ts";
import { LINEAR, type Role } from "./linear.ts";

/** What is mixed, and how it grows. */
export interface Spread {
  /** Tensors made of the entry by what was taken. */
  readonly mixed: ReadonlySet<string>;
  readonly taken: readonly Node[];
  /** Nodes that are not walked to again. */
  readonly done: Set<Node>;
  isIndependent(name: string): boolean;
  rolesOf(node: Node): (Role | undefined)[];
  take(node: Node): void;
  /** Takes what makes a node's other inputs of the entry, linearly. @returns why that cannot be */
  takeOthers(node: Node): Refusal | undefined;
}

/** @param outside nodes of closed regions, which are not entered */
export function spreadFrom(
  entry: string,
  nodes: readonly Node[],
  index: GraphIndex,
  time: TimeFacts,
  outside: ReadonlySet<Node>,
): Spread {
  const place = new Map(nodes.map((node, i) => [node, i]));
  const mixed = new Set<string>();
  const taken: Node[] = [];
  const done = new Set<Node>();
  const isIndependent = (name: string): boolean => {
    const fact = time.facts.get(name);
    return fact !== undefined && (fact.kind === "constant" || fact.kind === "position" || fact.kind === "shape");
  };
  const rolesOf = ({ inputs }: Node) =>
    inputs.map((name): Role | undefined => (!name ? undefined : isIndependent(name) ? "other" : "mixed"));
  /** Whether nodes make `name` from the entry alone, linearly; they are added to `found` in order, each once. */
  const isFromEntry = (name: string, found: Set<Node>): boolean => {
    if (name === entry || mixed.has(name)) return true;
    const node = index.producer.get(name);
    if (!node || outside.has(node) || (place.get(node) ?? 0) < (place.get(index.producer.get(entry)!) ?? -1))
      return false;
    if (found.has(node) || taken.includes(node)) return true;
    const roles = rolesOf(node);
    if (!roles.includes("mixed") || refusalOfRule(node, roles)) return false;
    if (!node.inputs.every((input, i) => roles[i] !== "mixed" || isFromEntry(input, found))) return false;
    found.add(node);
    return true;
  };
  const take = (node: Node) => {
    if (done.has(node)) return;
    done.add(node);
    taken.push(node);
    for (const output of node.outputs) if (output) mixed.add(output);
  };
  return {
    ...{ mixed, taken, done, isIndependent, rolesOf, take },
    takeOthers(node) {
      for (const name of node.inputs) {
        if (!name || mixed.has(name) || isIndependent(name)) continue;
        const makers = new Set<Node>();
        if (!isFromEntry(name, makers)) return anotherStream(node, name);
        for (const maker of makers) take(maker);
      }
      return undefined;
    },
  };
}

/** Why a node is not linear in what is mixed, if so. */
export function refusalOfRule(node: Node, roles: readonly (Role | undefined)[]): Refusal | undefined {
  const rule = LINEAR[node.domain ? `${node.domain}::${node.op}` : node.op];
  if (!rule)
    return {
      node,
      code: "not-linear",
      reason: `${node.op} is not linear in the stream, so what it belongs to is no convolution`,
    };
  const reason = rule(roles, node.attributes);
  return reason === undefined ? undefined : { node, code: "not-linear", reason: `${reason}, so it is no convolution` };
}

function anotherStream(node: Node, name: string): Refusal {
  return { node, code: "depends-on-data", reason: `combines what is being mixed with another stream, '${name}'` };
}
