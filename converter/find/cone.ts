/** What an opening mixes: the nodes on the stream's way, walked forward until everything runs through one tensor again. */
import type { GraphIndex, Node } from "../graph/graph.ts";
import type { Closed, Opening, Refusal, TimeFacts } from "../time/follow.ts";
import { refusalOfRule, spreadFrom } from "./spread.ts";

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
  const outside = closedNodes(closed);
  const spread = spreadFrom(entry, nodes, index, time, outside);
  const { mixed, taken, done } = spread;
  const exits: Exit[] = [];
  // tensors that still have a reader to be walked to
  const live = new Set<string>();

  spread.take(opening.node);
  const ofRule = refusalOfRule(opening.node, spread.rolesOf(opening.node));
  let refusal = ofRule ?? spread.takeOthers(opening.node);
  if (refusal) return { entry, exits: [], branches: [], refusal };
  for (let i = nodes.indexOf(opening.node) + 1; i <= nodes.length; i++) {
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
    if (spread.isIndependent(node.outputs[0]!)) {
      done.add(node);
      continue;
    }
    if (outside.has(node)) {
      if (!refusal) break;
      continue;
    }
    const inTheWay = spread.takeOthers(node) ?? refusalOfRule(node, spread.rolesOf(node));
    refusal ??= inTheWay;
    if (!inTheWay) spread.take(node);
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

function refreshLive(live: Set<string>, mixed: ReadonlySet<string>, index: GraphIndex, done: ReadonlySet<Node>): void {
  live.clear();
  for (const name of mixed) {
    const readers = index.consumers.get(name) ?? [];
    if (index.outputs.has(name) || readers.some((node) => !done.has(node))) live.add(name);
  }
}
