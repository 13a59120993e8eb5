/** A conversion in fewer bits: both of its models. */
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { type Reduced, reduceWeights, type WeightCache, type WeightKind } from "./weights.ts";

/** What a conversion makes. */
export interface Models {
  readonly model: Model;
  /** For one token a call. */
  readonly step: Model | undefined;
}

/** The same with weights in fewer bits. */
export interface FewerBits extends Models, Reduced {
  readonly kind: WeightKind;
}

/** @throws LongConvError usage where the model has no float32 matrix to change */
export function inFewerBits(found: Found, { model, step }: Models, kind: WeightKind): FewerBits {
  const source = new Set(found.original.graph.initializers.keys());
  const cache: WeightCache = new Map();
  const reduced = reduceWeights(model, kind, source, cache);
  return { ...reduced, kind, step: step && reduceWeights(step, kind, source, cache).model };
}
