/** The path that time takes through a graph, condensed: convolutions, operators with a state, what stops it, and pointwise nodes between them. */
import type { Kept } from "../find/carried.ts";
import type { Found } from "../find/found.ts";
import type { Region } from "../find/region.ts";
import { type Node, sourceOf } from "../graph/graph.ts";
import { readsOf } from "../graph/reads.ts";
import type { Closed, Refusal } from "../time/follow.ts";

/** What the path needs of what was found. */
export type Followed = Pick<Found, "graphs" | "time" | "regions" | "kept" | "counter" | "refusals">;

/** Several nodes (or none: an input, an output) that are one box of the picture. */
export type Block =
  | { readonly kind: "input" | "output"; readonly name: string; readonly nodes: readonly Node[] }
  /** A long convolution; `index` is that of its region. */
  | { readonly kind: "convolution"; readonly region: Region; readonly index: number; readonly nodes: readonly Node[] }
  /** An operator that carries a state of another kind. */
  | { readonly kind: "kept"; readonly kept: Kept; readonly nodes: readonly Node[] }
  /** Works position by position. */
  | { readonly kind: "pointwise"; readonly nodes: readonly Node[] }
  /** Between the node that mixes time and the one at which it is refused. */
  | { readonly kind: "mixed"; readonly nodes: readonly Node[] }
  /** Where time stops. */
  | { readonly kind: "refused"; readonly refusals: readonly Refusal[]; readonly nodes: readonly Node[] }
  /** Behind a refusal: not followed. */
  | { readonly kind: "beyond"; readonly nodes: readonly Node[] };

/** Blocks with the edges along which data flows; `from` and `to` are indices of blocks. No edge closes a cycle. */
export interface TimePath {
  readonly blocks: readonly Block[];
  readonly edges: readonly { readonly from: number; readonly to: number }[];
}

/**
 * Condenses the part of a graph through which data flows. Nodes that are before the same landmarks (convolutions, operators
 * with a state, refused nodes) and behind the same ones are one block: so a residual network of any size becomes a short chain.
 * Shapes, constants and functions of the position are not part of it.
 */
export function timePath({ graphs, time, regions, kept, refusals }: Followed): TimePath {
  const { graph } = graphs.model;
  const isData = (name: string) => ["stream", "still", "open"].includes(time.facts.get(name)?.kind ?? "");
  const landmarkOf = landmarks([...regions, ...kept], refusals);
  const data = new Set(
    graph.inputs.filter(({ name }) => isData(name) || !time.facts.has(name)).map(({ name }) => name),
  );
  const nodes = graph.nodes.filter((node) => {
    const carries =
      landmarkOf.has(node) || (node.outputs.some(isData) && [...readsOf(node)].some((name) => data.has(name)));
    if (carries) for (const output of node.outputs) if (output) data.add(output);
    return carries;
  });

  const producer = new Map<string, Node>();
  for (const node of nodes) for (const output of node.outputs) if (output) producer.set(output, node);
  const before = new Map(nodes.map((node) => [node, [...readsOf(node)].flatMap((name) => producer.get(name) ?? [])]));
  const after = new Map<Node, Node[]>(nodes.map((node) => [node, []]));
  for (const [node, makers] of before) for (const maker of makers) after.get(maker)!.push(node);

  const behind = reached(nodes, before, landmarkOf);
  const ahead = reached([...nodes].reverse(), after, landmarkOf);
  const stops = refusals.reduce((set, { node }) => set | bit(landmarkOf.get(node)!), 0n);

  const blocks: Block[] = [];
  const blockOf = new Map<Node, number>();
  const byKey = new Map<string, number>();
  const add = (block: Block) => blocks.push(block) - 1;
  const inputOf = new Map(
    graph.inputs
      .filter(({ name }) => data.has(name))
      .map(({ name }) => [name, add({ kind: "input", name, nodes: [] })]),
  );
  for (const node of nodes) {
    const landmark = landmarkOf.get(node);
    const beyond = (behind.get(node)! & stops) !== 0n;
    const mixed = node.outputs.every((output) => !output || time.facts.get(output)?.kind === "open");
    const key =
      landmark !== undefined
        ? `landmark ${landmark}`
        : beyond
          ? "beyond"
          : `${mixed ? "mixed" : "pointwise"} ${behind.get(node)} ${ahead.get(node)}`;
    let index = byKey.get(key);
    if (index === undefined) {
      const members: Node[] = [];
      index = add(
        landmark === undefined
          ? { kind: beyond ? "beyond" : mixed ? "mixed" : "pointwise", nodes: members }
          : landmark < regions.length
            ? { kind: "convolution", region: regions[landmark]!, index: landmark, nodes: members }
            : landmark < regions.length + kept.length
              ? { kind: "kept", kept: kept[landmark - regions.length]!, nodes: members }
              : { kind: "refused", refusals: refusals.filter((refusal) => refusal.node === node), nodes: members },
      );
      byKey.set(key, index);
    }
    (blocks[index]!.nodes as Node[]).push(node);
    blockOf.set(node, index);
  }

  const edges: { from: number; to: number }[] = [];
  const known = new Set<string>();
  const connect = (from: number | undefined, to: number) => {
    if (from === undefined || from === to || known.has(`${from} ${to}`)) return;
    // What is behind one refusal may lead to another one; drawn, it would run backwards
    if (blocks[from]!.kind === "beyond" && blocks[to]!.kind === "refused") return;
    known.add(`${from} ${to}`);
    edges.push({ from, to });
  };
  const source = (name: string) =>
    inputOf.get(name) ?? (producer.has(name) ? blockOf.get(producer.get(name)!) : undefined);
  for (const node of nodes) for (const name of readsOf(node)) connect(source(name), blockOf.get(node)!);
  for (const { name } of graph.outputs) {
    if (data.has(name)) connect(source(name), add({ kind: "output", name, nodes: [] }));
  }
  return { blocks, edges: withoutCycles(blocks.length, edges) };
}

/** Indices of the landmarks: what carries a state first, then refused nodes. */
function landmarks(stateful: readonly Closed[], refusals: readonly Refusal[]): Map<Node, number> {
  const indices = new Map<Node, number>();
  for (const [i, closed] of stateful.entries())
    for (const node of closed.nodes) if (!indices.has(node)) indices.set(node, i);
  for (const [i, { node }] of refusals.entries()) {
    const known = indices.get(node);
    if (known === undefined || known < stateful.length) indices.set(node, stateful.length + i);
  }
  return indices;
}

const bit = (index: number): bigint => 1n << BigInt(index);

/** Landmarks from which each node can be reached along `neighbours`, as sets of bits, without a landmark's own. */
function reached(
  nodes: readonly Node[],
  neighbours: ReadonlyMap<Node, readonly Node[]>,
  landmarkOf: ReadonlyMap<Node, number>,
): Map<Node, bigint> {
  const sets = new Map<Node, bigint>(nodes.map((node) => [node, 0n]));
  // The nodes of a region are one landmark: what one of them is behind, all are; so until nothing changes
  const shared = new Map<number, bigint>();
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of nodes) {
      const own = landmarkOf.get(node);
      let set = own === undefined ? 0n : (shared.get(own) ?? 0n);
      for (const neighbour of neighbours.get(node)!) {
        const other = landmarkOf.get(neighbour);
        set |= sets.get(neighbour)!;
        if (other !== undefined && other !== own) set |= bit(other);
      }
      if (own !== undefined) {
        set &= ~bit(own);
        shared.set(own, set);
      }
      if (set === sets.get(node)) continue;
      sets.set(node, set);
      changed = true;
    }
  }
  return sets;
}

/** The edges without those that would close a cycle (which only blocks behind a refusal can). */
function withoutCycles(count: number, edges: readonly { from: number; to: number }[]): { from: number; to: number }[] {
  const out = Array.from({ length: count }, () => [] as { from: number; to: number }[]);
  for (const edge of edges) out[edge.from]!.push(edge);
  const state = new Uint8Array(count);
  const kept: { from: number; to: number }[] = [];
  const visit = (block: number) => {
    state[block] = 1;
    for (const edge of out[block]!) {
      if (state[edge.to] === 1) continue;
      kept.push(edge);
      if (state[edge.to] === 0) visit(edge.to);
    }
    state[block] = 2;
  };
  for (let block = 0; block < count; block++) if (state[block] === 0) visit(block);
  return kept;
}

/** Modules that nodes come from, shortened to two parts ("mixers.0"), where the exporter left them. */
export function modulesOf(nodes: readonly Node[]): string[] {
  const modules = nodes.flatMap((node) => {
    const module = sourceOf(node)?.split(", ")[0];
    return module && !module.includes(" line ") ? [module.split(".").slice(0, 2).join(".")] : [];
  });
  return [...new Set(modules)];
}

/** Operators of nodes with how often each occurs, the most frequent first: "Mul ×4", "DFT". */
export function operatorsOf(nodes: readonly Node[]): string[] {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([op, times]) => (times > 1 ? `${op} ×${times}` : op));
}
