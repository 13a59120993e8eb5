/**
 * Facts with two times: what lies between queries and keys, followed from where they meet to where the keys are summed over.
 * Every rule of time holds there as well; a stream that is read by its positions as keys has `keys` in the place of time.
 */
import type { Known } from "../../find/carried.ts";
import type { Node } from "../../graph/graph.ts";
import { type Layout, timeAxis } from "../../time/facts/fact.ts";
import { readsSizes } from "../../time/sized.ts";
import { hasKeys, type Read, readNode } from "./reading.ts";

/** What was followed. */
export interface Pairs {
  /** In the order of the graph. */
  readonly nodes: readonly Node[];
  /** Of all tensors that the nodes make. */
  readonly layouts: ReadonlyMap<string, Layout>;
  /** Streams that are read by their positions as keys, with `keys` in the place of time. */
  readonly keyed: ReadonlyMap<string, Layout>;
  /** Streams that are read at the position that asks. */
  readonly queried: ReadonlySet<string>;
  /** Functions of the position, with the layout in which they meet the pairs. */
  readonly positions: ReadonlyMap<string, Layout>;
  /** Tensors in which the keys are summed over, and that are read outside. */
  readonly exits: readonly string[];
}

/** Why the walk ended. */
export interface Stuck {
  readonly node: Node;
  readonly reason: string;
  /** It reads what is not followed yet. */
  readonly waits?: true | undefined;
}

/** Follows the pairs from an opening. */
export function pairsFrom(known: Known, opening: Node): Pairs | Stuck | undefined {
  const { graphs, time } = known;
  const inside = new Map<string, Layout>();
  const read = new Map<Node, Read>();
  const unread: Stuck[] = [];
  for (const node of graphs.model.graph.nodes) {
    if (node.outputs.every((name) => !name || (time.facts.get(name)?.kind ?? "open") !== "open")) continue;
    const touches = node.inputs.some((name) => hasKeys(inside.get(name) ?? []));
    const made = readNode(known, node, inside);
    if ("why" in made) {
      if (touches) unread.push({ node, reason: made.why, waits: made.waits });
      continue;
    }
    // what is made of a sum over the keys may meet the pairs again
    if (!node.inputs.some((name) => inside.has(name)) && !made.layouts.some(hasKeys) && !isMixing(made)) continue;
    read.set(node, made);
    for (const [i, name] of node.outputs.entries()) if (name) inside.set(name, made.layouts[i]!);
  }
  if (!read.has(opening)) return undefined;
  const component = connected(known, read, inside, opening);
  const ended = [...component].some((node) => node.outputs.some((name) => name && !hasKeys(inside.get(name)!)));
  const leaks = [...component].some((node) =>
    node.outputs.some((name) => {
      // what is made of their sizes is made of the length
      const readers = (graphs.index.consumers.get(name) ?? []).filter((reader) => !readsSizes(reader));
      return (
        hasKeys(inside.get(name) ?? []) && (graphs.index.outputs.has(name) || readers.some((r) => !component.has(r)))
      );
    }),
  );
  // other pairs have other reasons
  const own = new Set(
    [...component].flatMap(({ outputs }) => outputs).filter((name) => hasKeys(inside.get(name) ?? [])),
  );
  if (!ended || leaks) return unread.find(({ node }) => node.inputs.some((name) => own.has(name)));
  return summary(known, component, read, inside);
}

const hasQueries = (axes: Layout): boolean => timeAxis(axes) >= 0;

/** Whether a stream is summed over its positions with weights that are made of two positions alone: pairs that end where they begin. */
const isMixing = ({ keyed, positions }: Read): boolean =>
  keyed.length > 0 && positions.some(([, axes]) => hasKeys(axes) && hasQueries(axes));

/** The nodes that hang together through tensors of pairs. */
function connected(
  { graphs: { index } }: Known,
  read: ReadonlyMap<Node, Read>,
  inside: ReadonlyMap<string, Layout>,
  opening: Node,
): Set<Node> {
  const component = new Set<Node>();
  const queue = [opening];
  for (let node = queue.pop(); node; node = queue.pop()) {
    if (component.has(node) || !read.has(node)) continue;
    component.add(node);
    for (const name of node.outputs)
      if (hasKeys(inside.get(name) ?? [])) queue.push(...(index.consumers.get(name) ?? []));
    for (const name of node.inputs) {
      const producer = index.producer.get(name);
      // what was summed over the keys belongs to the pairs that read it
      if (producer && inside.has(name)) queue.push(producer);
    }
  }
  return component;
}

function summary(
  { graphs: { index, model }, time }: Known,
  component: ReadonlySet<Node>,
  read: ReadonlyMap<Node, Read>,
  inside: ReadonlyMap<string, Layout>,
): Pairs {
  const nodes = model.graph.nodes.filter((node) => component.has(node));
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const keyed = new Map(nodes.flatMap((node) => read.get(node)!.keyed));
  const inputs = new Set(nodes.flatMap((node) => node.inputs).filter((name) => name && !made.has(name)));
  const isStream = (name: string) => time.facts.get(name)?.kind === "stream";
  return {
    nodes,
    layouts: new Map([...made].filter(Boolean).map((name) => [name, inside.get(name)!])),
    keyed,
    queried: new Set(
      [...inputs].filter((name) => isStream(name) && nodes.some((node) => readsPlain(read.get(node)!, node, name))),
    ),
    positions: new Map(nodes.flatMap((node) => read.get(node)!.positions)),
    exits: [...made].filter(
      (name) =>
        name &&
        !hasKeys(inside.get(name)!) &&
        (index.outputs.has(name) || (index.consumers.get(name) ?? []).some((reader) => !component.has(reader))),
    ),
  };
}

const readsPlain = ({ keyed }: Read, node: Node, name: string): boolean =>
  node.inputs.includes(name) && !keyed.some(([each]) => each === name);
