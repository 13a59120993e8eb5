/** Grows a region over what costs nodes and belongs to the convolution: layout changes, scalings, a skip term. */
import type { GraphIndex, Node } from "../graph/graph.ts";
import type { Graphs } from "../parts/graphs.ts";
import type { End } from "../parts/open-region.ts";
import { possibleLayouts } from "../parts/seen-shapes.ts";
import { channelCount, type Layout } from "../time/facts/fact.ts";
import type { TimeFacts } from "../time/follow.ts";
import type { Cone } from "./cone.ts";

const LAYOUT_ONLY = new Set(["Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten"]);

/** Operators that a convolution absorbs: they act on each channel alone. */
const ABSORBED = new Set([...LAYOUT_ONLY, "Mul", "Div", "Add", "Sub", "Neg"]);

/** The smallest region that may be a convolution. */
export interface Smallest {
  readonly entry: End;
  readonly exit: End;
  readonly nodes: readonly Node[];
}

/** The grown ends and nodes; undefined where nothing can be taken in. */
export function grow(
  graphs: Graphs,
  time: TimeFacts,
  cone: Cone,
  accepted: number,
  found: Smallest,
): { entry: End; exit: End; nodes: readonly Node[] } | undefined {
  let exit = found.exit;
  let nodes = cone.exits[accepted]!.nodes;
  for (const candidate of cone.exits.slice(accepted + 1)) {
    const added = candidate.nodes.filter((node) => !found.nodes.includes(node));
    if (!added.every((node) => isAbsorbed(node, graphs, time))) break;
    const seen = graphs.shapes.seen.get(candidate.tensor);
    const axes = seen && likely(possibleLayouts(seen, graphs.shapes.runs), exit.axes);
    if (!axes || channelCount(axes) !== channelCount(found.exit.axes)) continue;
    exit = { tensor: candidate.tensor, axes, type: seen.type };
    nodes = candidate.nodes;
  }
  const before = entryBefore(graphs, time, found, new Set(nodes));
  if (exit === found.exit && before.nodes.length === 0) return undefined;
  return { entry: before.entry, exit, nodes: [...before.nodes, ...nodes] };
}

/** The canonical layout first, where several are possible. */
function likely(layouts: readonly Layout[], previous: Layout): Layout | undefined {
  const rank = (axes: Layout) => (axes.length === previous.length ? 0 : 1) + (axes[0]?.[0] === "batch" ? 0 : 1);
  return [...layouts].sort((a, b) => rank(a) - rank(b))[0];
}

/** Constants may scale the convolution, not shift it; what differs from position to position is no part of it. */
function isAbsorbed(node: Node, graphs: Graphs, time: TimeFacts): boolean {
  if (!ABSORBED.has(node.op) || node.domain !== "") return false;
  const shifts = node.op === "Add" || node.op === "Sub";
  return node.inputs.every((name) => {
    const fact = time.facts.get(name);
    return fact?.kind === "position" ? !growsWithLength(graphs, name) : !(shifts && fact?.kind === "constant");
  });
}

/** Whether a dimension of a tensor differs between lengths; in a graph of one length probes see all there is. */
function growsWithLength({ shapes }: Graphs, tensor: string): boolean {
  const dims = shapes.seen.get(tensor)?.dims ?? [];
  return dims.some((run) => run.some((size, k) => size !== dims[0]![k]));
}

/** Moves the entry up over layout changes whose result nothing else reads. */
function entryBefore(
  { index, shapes }: Graphs,
  time: TimeFacts,
  found: Smallest,
  inside: ReadonlySet<Node>,
): { entry: End; nodes: Node[] } {
  let entry = found.entry;
  const nodes: Node[] = [];
  for (;;) {
    const producer = index.producer.get(entry.tensor);
    if (producer?.domain !== "" || !LAYOUT_ONLY.has(producer.op)) break;
    if (!readOnlyInside(index, entry.tensor, new Set([...inside, ...nodes]))) break;
    const tensor = producer.inputs[0]!;
    const fact = time.facts.get(tensor);
    if (fact?.kind !== "stream") break;
    entry = { tensor, axes: fact.axes, type: shapes.seen.get(tensor)?.type ?? entry.type };
    nodes.unshift(producer);
  }
  return { entry, nodes };
}

const readOnlyInside = (index: GraphIndex, tensor: string, inside: ReadonlySet<Node>): boolean =>
  !index.outputs.has(tensor) && (index.consumers.get(tensor) ?? []).every((node) => inside.has(node));
