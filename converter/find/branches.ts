/** Closes an opening behind which the way divides: one stream convolved with several kernels, each result going its own way. */

import type { Graphs } from "../parts/graphs.ts";
import type { Closed, Opening, TimeFacts } from "../time/follow.ts";
import { coneOf } from "./cone.ts";
import { probedAt, type Region } from "./region.ts";

/**
 * One region for each branch, with the nodes that they share in all of them; undefined where some branch is no
 * convolution. LRU and S5 are such: the real part of a state is convolved with the real and the imaginary part of the
 * powers, and the results are combined with those of another stream.
 */
export async function closeBranches(
  graphs: Graphs,
  time: TimeFacts,
  closed: readonly Closed[],
  opening: Opening,
): Promise<readonly Region[] | undefined> {
  const { entry, branches } = coneOf(graphs.model.graph.nodes, graphs.index, time, closed, opening);
  const regions: Region[] = [];
  for (const branch of branches) {
    if (time.facts.get(branch.tensor)?.kind !== "open") continue;
    // what follows from a branch that is closed is followed from there
    const exits = regions.map(({ exit }) => exit.tensor);
    if (branch.nodes.some((node) => node.outputs.some((name) => name !== branch.tensor && exits.includes(name))))
      continue;
    const found = await probedAt(graphs, time, opening, entry, branch);
    if ("code" in found) return undefined;
    regions.push(found);
  }
  return regions.length > 1 ? regions : undefined;
}
