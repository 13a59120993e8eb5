/** Several tokens in one run, with the logits after the last of them: how drafts are verified. */
import { LongConvError } from "../../src/errors.ts";
import type { Model, State } from "../model/model.ts";
import { type StepOptions, step } from "../model/step.ts";
import { type Ids, languageOf, tokenFeeds } from "../model/tokens.ts";
import { dataOf, toFloat32 } from "../sessions/numeric.ts";

/**
 * Reads tokens after a state of one row, in one run.
 * @param count of how many of the last tokens the logits of the next are wanted
 * @returns the state after all of them, with the last of the logits, and the logits in order, [vocabulary] each
 * @throws LongConvError bad-input where the model gives the logits of the last position alone; what `step` throws
 */
export async function readAhead(
  model: Model,
  tokens: Ids,
  state: State,
  count: number,
  { beyond }: Pick<StepOptions, "beyond"> = {},
): Promise<{ readonly state: State; readonly logits: readonly Float32Array[] }> {
  const { logits: name, vocabulary } = languageOf(model);
  const feeds = tokenFeeds(model, [tokens], count);
  const { outputs, state: next } = await step(model, feeds, state, { beyond, outputs: [name], advance: tokens.length });
  const tensor = outputs[name]!;
  const values = toFloat32(tensor.type, await dataOf(tensor));
  const kept = tensor.dims[1]!;
  if (tensor.location !== "cpu") tensor.dispose();
  if (kept < count) {
    const reason = `drafts cannot be verified: the model gives the logits of ${kept} of ${tokens.length} positions`;
    throw new LongConvError("bad-input", reason, { file: model.file, tensor: name }, "Leave out `drafter`.");
  }
  const logits = Array.from({ length: count }, (_, index) => {
    const at = kept - count + index;
    return values.slice(at * vocabulary, (at + 1) * vocabulary);
  });
  return { state: { ...next, logits: logits.at(-1)! }, logits };
}
