/** Token ids: of texts, within a vocabulary, and as the inputs of a language model. */
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Tensor } from "../sessions/ort.ts";
import type { LanguageModel, Model } from "./model.ts";

/** Token ids of one sequence. */
export type Ids = readonly number[];

/**
 * A text as token ids.
 * @throws LongConvError bad-input where the model has no tokenizer
 */
export function encodePrompt({ tokenizer, file }: Model, text: string, addSpecialTokens: boolean): Ids {
  if (!tokenizer) throw new LongConvError("bad-input", "a prompt needs a tokenizer", { file }, NO_TOKENIZER);
  return tokenizer.encode(text, { addSpecialTokens });
}

export const NO_TOKENIZER = "Load a folder with a tokenizer.json, or pass inputIds and stopTokens.";

/** The model as a language model, or an error that says what it is instead. */
export function languageOf(model: Model): LanguageModel {
  if (model.language) return model.language;
  const names = (values: readonly { readonly name: string }[]) => values.map(({ name }) => name).join(", ");
  throw new LongConvError(
    "bad-input",
    `not a language model: it takes ${names(model.inputs)} and gives ${names(model.outputs)}`,
    { file: model.file },
    "Run it with step().",
  );
}

/** Embeddings are looked up by index, and a negative index would count from the end: every id is checked. */
export function checkIds(ids: Ids, { vocabulary, ids: tensor }: LanguageModel, file: string | undefined): void {
  for (const [position, id] of ids.entries()) {
    if (Number.isInteger(id) && id >= 0 && id < vocabulary) continue;
    const reason = `token ${id} at position ${position} is outside the vocabulary (0 to ${vocabulary - 1})`;
    throw new LongConvError("token-out-of-range", reason, { file, tensor }, "Use the model's tokenizer.");
  }
}

/** What a run takes that reads so many tokens in each row. @param count positions whose logits are wanted, the last ones */
export function tokenFeeds(model: Model, rows: readonly Ids[], count: number): Record<string, Tensor> {
  const width = rows[0]!.length;
  const ids = new Float64Array(rows.length * width);
  for (let row = 0; row < rows.length; row++)
    for (let column = 0; column < width; column++) ids[row * width + column] = rows[row]![column]!;
  return feedsOf(model, ids, new BigInt64Array(ids.length).fill(1n), [rows.length, width], count);
}

/** The inputs of a run. @param mask 1n where a token stands, of as many elements as ids */
export function feedsOf(
  model: Model,
  ids: Float64Array,
  mask: BigInt64Array,
  dims: readonly number[],
  count: number,
): Record<string, Tensor> {
  const { ids: name, idType, hasMask, hasNumLogitsToKeep } = languageOf(model);
  const { Tensor } = model.backend;
  const feeds: Record<string, Tensor> = { [name]: idTensor(model, idType, ids, dims) };
  if (hasMask) feeds[ATTENTION_MASK] = new Tensor("int64", mask, dims);
  if (hasNumLogitsToKeep) feeds[NUM_LOGITS_TO_KEEP] = new Tensor("int64", BigInt64Array.of(BigInt(count)), []);
  return feeds;
}

/** Ids as a tensor of the model's type. */
function idTensor(model: Model, type: "int64" | "int32", ids: Float64Array, dims: readonly number[]): Tensor {
  if (type === "int32") return new model.backend.Tensor(type, new Int32Array(ids), dims);
  // not BigInt64Array.from, which asks an iterator for every id
  const wide = new BigInt64Array(ids.length);
  for (let i = 0; i < ids.length; i++) wide[i] = BigInt(ids[i]!);
  return new model.backend.Tensor(type, wide, dims);
}
