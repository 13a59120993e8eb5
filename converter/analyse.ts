/** What a model is, as everybody who needs to know it is told: inlined, followed through time, with all that carries a state. */
import { expanded } from "./expand/index.ts";
import { type FindOptions, type Found, findCarried } from "./find/find.ts";
import type { Model } from "./onnx/graph.ts";
import { inlineFunctions } from "./onnx/inline.ts";
import { KINDS } from "./states/index.ts";

export type AnalyseOptions = Omit<FindOptions, "kinds">;

/**
 * Follows time through a model and finds every state that it must carry, and what stands in the way.
 * @throws LongConvError already-converted; usage for names that a language model cannot have; where the model cannot be run or
 * its inputs have no time axis
 */
export const analyse = (model: Model, options: AnalyseOptions = {}): Promise<Found> =>
  findCarried(expanded(inlineFunctions(model)), { ...options, kinds: KINDS });
