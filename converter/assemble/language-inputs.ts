/** Which of the inputs that drivers of language models know a converted model takes. */
import { INPUT_IDS, type LanguageNames, LOGITS, NUM_LOGITS_TO_KEEP } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Found } from "../find/found.ts";
import { whereOf } from "../graph/graph.ts";
import { tokenInput } from "../graph/language.ts";
import type { AssembleOptions } from "./interface.ts";
import { canKeepLast } from "./last-positions.ts";

interface LanguageInputs extends Pick<AssembleOptions, "attentionMask" | "numLogitsToKeep"> {
  /** Whether stock transformers.js is to drive it, and can: it looks for ids, logits and a mask by their names. */
  readonly transformersJs: boolean;
}

/** Whether transformers.js finds what it looks for: a language model under its names, with a mask. */
export const isForTransformersJs = (language: LanguageNames | undefined, hasMask: boolean): boolean =>
  language?.ids === INPUT_IDS && language.logits === LOGITS && hasMask;

/**
 * Inputs that drivers of language models know; other models keep to their own.
 * @throws LongConvError usage where the last logits are asked for of an output that has no time axis
 */
export function languageInputs(found: Found, options: Partial<LanguageInputs>): LanguageInputs {
  const { outputs } = found.original.graph;
  const tokens = found.language !== undefined || tokenInput(found.original.graph) !== undefined;
  if (options.attentionMask === false && found.graphs.driven.mask !== undefined)
    throw new LongConvError(
      "usage",
      "the model takes an attention_mask of its own, which cannot be left out",
      { file: found.original.file || undefined },
      "Convert with attention_mask.",
    );
  const seeing = found.kept.find(({ seesPadding }) => seesPadding);
  const hides = seeing === undefined || found.graphs.driven.mask !== undefined;
  if (options.attentionMask && !hides)
    throw new LongConvError(
      "usage",
      "attention_mask is asked for, and padding cannot be hidden here: what it reads depends on the place itself",
      whereOf(found.graphs.model, seeing!.opening),
      "Convert without attention_mask.",
    );
  const cuttable = canKeepLast(found);
  if (options.numLogitsToKeep && !cuttable)
    throw new LongConvError(
      "usage",
      `${NUM_LOGITS_TO_KEEP} is asked for, but output '${outputs[0]!.name}' has no time axis to keep the last positions of`,
      { file: found.original.file || undefined },
    );
  const attentionMask = options.attentionMask ?? (tokens && hides);
  return {
    attentionMask,
    transformersJs: options.transformersJs === true && isForTransformersJs(found.language, attentionMask),
    numLogitsToKeep: options.numLogitsToKeep ?? (tokens && outputs.length === 1 && cuttable),
  };
}
