/**
 * A converted model in two files: one for any number of tokens, and one for a single token of a single sequence, whose
 * shapes are static and which a GPU runs whole. Both together are a session like any other.
 */

import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP } from "../../src/contract.ts";
import type { InferenceSession, Tensor } from "./ort.ts";
import { wrapped } from "./wrapped.ts";

/** The file for one token, beside the model: `onnx/model_step.onnx` for `onnx/model.onnx`. */
export const stepFileOf = (file: string): string => file.replace(/(\.onnx)?$/i, "_step.onnx");

/** What is opened beside a session, which is given up where that fails. */
export async function orRelease<T>(whole: InferenceSession, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    await whole.release();
    throw error;
  }
}

/**
 * A session that gives each run to `step` where that has the right shapes, else to `whole`.
 * @param step takes the inputs of `whole` but for a mask, a number of logits and a length cache, all with fixed dimensions
 */
export function twoSessions(whole: InferenceSession, step: InferenceSession): InferenceSession {
  const shapes = new Map(step.inputMetadata.map((input) => [input.name, input.isTensor ? input.shape.join() : ""]));
  const fits = (feeds: InferenceSession.FeedsType) =>
    Object.entries(feeds).every(([name, tensor]) => {
      const shape = shapes.get(name);
      return shape === undefined ? changesNothing(name, tensor as Tensor) : shape === (tensor as Tensor).dims.join();
    });
  const run = (feeds: InferenceSession.FeedsType, ...rest: unknown[]) => {
    if (!fits(feeds)) return whole.run(feeds, ...(rest as []));
    const taken = Object.fromEntries(Object.entries(feeds).filter(([name]) => shapes.has(name)));
    return step.run(taken, ...(rest as []));
  };
  return wrapped(whole, run, async () => {
    await step.release();
    await whole.release();
  });
}

/** Of one token, every number of logits to keep keeps it; a mask of ones hides nothing; and no elements say nothing. */
function changesNothing(name: string, tensor: Tensor): boolean {
  if (tensor.dims.includes(0)) return true;
  if (name === NUM_LOGITS_TO_KEEP) return true;
  return name === ATTENTION_MASK && tensor.location === "cpu" && (tensor.data as BigInt64Array).at(-1) === 1n;
}
