/** What is timed: a converted model, the original that it was made from, and the floor below both. */
import { analyse } from "../../converter/analyse.ts";
import { inlineFunctions } from "../../converter/expand/inline.ts";
import { readModel } from "../../converter/file/read.ts";
import { type Found, refusalError } from "../../converter/find/found.ts";
import { floorOf } from "../../converter/floor/floor.ts";
import type { Model } from "../../converter/graph/graph.ts";
import { convertedLanguage } from "../../converter/graph/language.ts";
import { lift } from "../../converter/lift/lift.ts";
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP } from "../contract.ts";
import { LongConvError } from "../errors.ts";

/** A model that was followed through time, and its converted form. */
export interface Subjects {
  readonly found: Found;
  readonly converted: Model;
}

/**
 * Reads both files and finds the original's convolutions.
 * @throws LongConvError where the original cannot be converted or the other file is not a converted model
 */
export async function benchSubjects(
  original: string,
  converted: string,
  timeAxis?: Readonly<Record<string, number>>,
): Promise<Subjects> {
  const exported = lift(inlineFunctions(await readModel(original)));
  const model = inlineFunctions(await readModel(converted));
  const language = convertedLanguage(model);
  const named = language && { inputName: language.ids, outputName: language.logits };
  const found = await analyse(exported, { ...(timeAxis && { timeAxis }), ...named });
  if (found.refusals.length > 0) throw refusalError(found.graphs.model, found.refusals);
  if (!model.graph.inputs.some(({ name }) => name.startsWith("past_")))
    throw new LongConvError("not-converted", "has no past_* state", { file: converted }, "Give the converted model.");
  return { found, converted: model };
}

/** The floor with the inputs that the converted model has. */
export const floorFor = ({ found, converted }: Subjects): Promise<Model> => {
  const names = new Set(converted.graph.inputs.map(({ name }) => name));
  return floorOf(found, { attentionMask: names.has(ATTENTION_MASK), numLogitsToKeep: names.has(NUM_LOGITS_TO_KEEP) });
};
