/**
 * The floor of a model: the same network with its convolutions cut out. Nothing that keeps the other layers can be
 * faster, so it is what a converted model is measured against. Its outputs mean nothing.
 */
import { assemble } from "../assemble/assemble.ts";
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { bypass } from "../states/convolution/convolution.ts";
import { positionsOf, withCounter } from "../states/counter/counter.ts";

export interface FloorOptions {
  /** Whether the converted model has the input `attention_mask`; the floor then has it too and reads nothing of it. */
  readonly attentionMask: boolean;
  /** Whether the converted model has the input `num_logits_to_keep`. */
  readonly numLogitsToKeep: boolean;
}

/**
 * The converted graph without recurrences: each convolution's stream goes in and out as it is, in the layouts that the
 * network expects. No states, but for the counter of a model with absolute positions.
 */
export async function floorOf(found: Found, options: FloorOptions): Promise<Model> {
  const kept = await Promise.all(found.kept.map((each) => each.plan()));
  const positions = await positionsOf(found);
  const realisations = withCounter(found, [...found.regions.map(bypass), ...kept], positions);
  return assemble(found, realisations, { ...options, path: "both", tables: positions.tables, metadata: new Map() });
}
