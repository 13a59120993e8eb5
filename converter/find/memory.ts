/** How long a sequence may be for a region to be run within so many bytes. */
import type { Node } from "../graph/graph.ts";
import type { Graphs } from "../parts/graphs.ts";
import { partOf } from "../parts/part.ts";
import type { Seen, Shapes } from "../parts/seen-shapes.ts";
import { timeAxis } from "../time/facts/fact.ts";
import type { Region } from "./region.ts";

const LONGEST = 2 ** 17;
const BYTES_OF_A_NUMBER = 4;

/** Bytes of all tensors of a region for one sequence of a length, each channel alone where it mixes them. */
export function bytesOf(graphs: Graphs, { entry, exit, mixing }: Region): (time: number) => number {
  const { graph } = partOf(graphs, [{ name: entry.tensor, type: entry.type, dims: undefined }], [exit.tensor]);
  const sequences = mixing?.inputs ?? 1;
  return (time) => sequences * bytesAt(graphs.shapes, graph.nodes, time);
}

/**
 * The same of what a function of the position is computed by, where layers are run for it: it takes its sizes off their data, by ways
 * that are not followed. Undefined where none are.
 */
export function bytesOfLayers(graphs: Graphs, tensor: string): ((time: number) => number) | undefined {
  const { graph } = partOf(graphs, [], [tensor]);
  const runsLayers = graph.inputs.some(({ name }) => timeAxis(graphs.inputs.layouts.get(name) ?? []) >= 0);
  return runsLayers ? (time) => bytesAt(graphs.shapes, graph.nodes, time) : undefined;
}

/** The longest power of two, 64 at least, that takes at most so many bytes. */
export function longestWithin(bytesFor: (time: number) => number, bytes: number): number {
  let time = 64;
  while (time < LONGEST && bytesFor(2 * time) <= bytes) time *= 2;
  return time;
}

/** Bytes of everything that nodes compute for one sequence of a length. */
export function bytesAt(shapes: Shapes, nodes: readonly Node[], time: number): number {
  const seen = nodes.flatMap(({ outputs }) => outputs.map((name) => shapes.seen.get(name)).filter((each) => !!each));
  return seen.reduce((sum, tensor) => sum + BYTES_OF_A_NUMBER * sizeAt(tensor, shapes, time), 0);
}

/** Numbers of a tensor for one sequence of a length, each dimension a straight line through the runs. */
function sizeAt({ dims }: Seen, { runs }: Shapes, time: number): number {
  const [first, second] = runs;
  return dims[0]!.reduce((size, before, k) => {
    if (!second) return size * before;
    const after = dims[1]![k]!;
    if (before === first!.batch && after === second.batch) return size;
    if (before === first!.batch * first!.time && after === second.batch * second.time) return size * time;
    const slope = (after - before) / (second.time - first!.time);
    return size * Math.max(1, before + slope * (time - first!.time));
  }, 1);
}
