/** What an opening mixes: the nodes on the stream's way, walked forward until everything runs through one tensor again. */
import type { GraphIndex, Node } from "../graph/graph.ts";
import type { Closed, Opening, Refusal, TimeFacts } from "../time/follow.ts";
import { LINEAR, type Role } from "./linear.ts";

/** A tensor through which all that was mixed flows, and the nodes on the way to it. */
export interface Exit {
  readonly tensor: string;
  readonly nodes: readonly Node[];
}

export interface Cone {
  /** The stream that enters. */
  readonly entry: string;
  /** Smallest first. */
  readonly exits: readonly Exit[];
  /** Tensors at which the nodes that were walked end, each with the nodes that make it; where the way divides, several. */
  readonly branches: readonly Exit[];
  /** The node at which the walk had to stop, and why nothing behind it can be a convolution of this stream. */
  readonly refusal: Refusal | undefined;
}

/** Names the nodes of closed regions, which the walk does not enter. */
const closedNodes = (closed: readonly Closed[]): Set<Node> => new Set(closed.flatMap((region) => [...region.nodes]));

/**
 * Walks forward from an opening, in topological order. Each node on the way must be affine in what is mixed; its other
 * inputs may be constants and functions of the position, and functions of the entry itself that are linear as well.
 */
export function coneOf(
  nodes: readonly Node[],
  index: GraphIndex,
  time: TimeFacts,
  closed: readonly Closed[],
  opening: Opening,
): Cone {
  const entry = opening.stream;
  const place = new Map(nodes.map((node, i) => [node, i]));
  const outside = closedNodes(closed);
  const mixed = new Set<string>();
  const taken: Node[] = [];
  const done = new Set<Node>();
  const exits: Exit[] = [];
  // tensors that still have a reader to be walked to
  const live = new Set<string>();

  const isIndependent = (name: string): boolean => {
    const fact = time.facts.get(name);
    return fact !== undefined && (fact.kind === "constant" || fact.kind === "position" || fact.kind === "shape");
  };
  /** Nodes that make `name` from the entry alone, linearly; undefined where it is something else. */
  const fromEntry = (name: string): Node[] | undefined => {
    if (name === entry || mixed.has(name)) return [];
    const node = index.producer.get(name);
    if (!node || outside.has(node) || (place.get(node) ?? 0) < (place.get(index.producer.get(entry)!) ?? -1))
      return undefined;
    if (taken.includes(node)) return [];
    const roles = node.inputs.map((input): Role | undefined =>
      !input ? undefined : isIndependent(input) ? "other" : "mixed",
    );
    if (!roles.includes("mixed") || !isLinear(node, roles)) return undefined;
    const found: Node[] = [];
    for (const [i, input] of node.inputs.entries()) {
      if (roles[i] !== "mixed") continue;
      const before = fromEntry(input);
      if (!before) return undefined;
      found.push(...before);
    }
    return [...found, node];
  };
  const take = (node: Node) => {
    if (done.has(node)) return;
    done.add(node);
    taken.push(node);
    for (const output of node.outputs) if (output) mixed.add(output);
  };

  take(opening.node);
  let refusal = refusalOfRule(
    opening.node,
    opening.node.inputs.map((name): Role | undefined => roleOf(name, isIndependent)),
  );
  const openingOthers = opening.node.inputs.filter((name) => name && name !== entry && !isIndependent(name));
  for (const name of openingOthers) {
    const extra = fromEntry(name);
    if (extra) for (const node of extra) take(node);
    else refusal ??= anotherStream(opening.node, name);
  }
  if (refusal) return { entry, exits: [], branches: [], refusal };
  for (let i = (place.get(opening.node) ?? 0) + 1; i <= nodes.length; i++) {
    // behind a refusal only the branches beside it are walked
    if (!refusal) {
      refreshLive(live, mixed, index, done);
      if (live.size === 1) {
        const [tensor] = live;
        exits.push({ tensor: tensor!, nodes: [...taken] });
      }
      if (live.size === 0) break;
    }
    const node = nodes[i];
    if (!node) break;
    if (done.has(node) || !node.inputs.some((name) => mixed.has(name))) continue;
    // the shape of what is mixed says nothing about its values
    if (isIndependent(node.outputs[0]!)) {
      done.add(node);
      continue;
    }
    if (outside.has(node)) {
      if (!refusal) break;
      continue;
    }
    let inTheWay: Refusal | undefined;
    for (const name of node.inputs) {
      if (!name || mixed.has(name) || isIndependent(name)) continue;
      const extra = fromEntry(name);
      if (!extra) {
        inTheWay = anotherStream(node, name);
        break;
      }
      for (const other of extra) take(other);
    }
    inTheWay ??= refusalOfRule(
      node,
      node.inputs.map((name): Role | undefined => roleOf(name, isIndependent)),
    );
    refusal ??= inTheWay;
    if (!inTheWay) take(node);
  }
  const distinct = exits.filter((exit, i) => exits.findIndex((other) => other.tensor === exit.tensor) === i);
  return { entry, exits: distinct, branches: branchesOf(taken, index, done), refusal };
}

/** What nodes that were not taken read of those that were. */
function branchesOf(taken: readonly Node[], index: GraphIndex, done: ReadonlySet<Node>): Exit[] {
  const isRead = (name: string) =>
    index.outputs.has(name) || (index.consumers.get(name) ?? []).some((node) => !done.has(node));
  const makersOf = (tensor: string): Set<Node> => {
    const makers = new Set<Node>();
    const queue = [tensor];
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const node = index.producer.get(name);
      if (!node || makers.has(node) || !taken.includes(node)) continue;
      makers.add(node);
      queue.push(...node.inputs);
    }
    return makers;
  };
  return taken.flatMap((node) =>
    node.outputs.filter(isRead).map((tensor) => {
      const makers = makersOf(tensor);
      return { tensor, nodes: taken.filter((each) => makers.has(each)) };
    }),
  );
}

const roleOf = (name: string, isIndependent: (name: string) => boolean): Role | undefined =>
  !name ? undefined : isIndependent(name) ? "other" : "mixed";

function refreshLive(live: Set<string>, mixed: ReadonlySet<string>, index: GraphIndex, done: ReadonlySet<Node>): void {
  live.clear();
  for (const name of mixed) {
    const readers = index.consumers.get(name) ?? [];
    if (index.outputs.has(name) || readers.some((node) => !done.has(node))) live.add(name);
  }
}

const isLinear = (node: Node, roles: readonly (Role | undefined)[]): boolean =>
  refusalOfRule(node, roles) === undefined;

function refusalOfRule(node: Node, roles: readonly (Role | undefined)[]): Refusal | undefined {
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
