/** A conversion in fewer bits: both of its models, and what that changes. */
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { compareWeights, type WeightsReport } from "./compare.ts";
import { reduceWeights, type WeightCache, type WeightKind } from "./weights.ts";

interface Models {
  readonly model: Model;
  /** For one token a call. */
  readonly step: Model | undefined;
}

/** Both models with their weights stored in fewer bits, compared with what they were. */
export async function inFewerBits(
  found: Found,
  { model, step }: Models,
  kind: WeightKind | undefined,
): Promise<Models & { readonly weights: WeightsReport | undefined }> {
  if (!kind) return { model, step, weights: undefined };
  const source = new Set(found.original.graph.initializers.keys());
  const cache: WeightCache = new Map();
  const reduced = reduceWeights(model, kind, source, cache);
  const weights = await compareWeights(found, model, kind, reduced);
  return { model: reduced.model, step: step && reduceWeights(step, kind, source, cache).model, weights };
}
