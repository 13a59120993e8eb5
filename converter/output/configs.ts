/** The JSON files of the output folder: config.json, generation_config.json, tokenizer_config.json. */
import { METADATA } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { endOf, reachOf } from "../../src/reach.ts";
import type { Model } from "../graph/graph.ts";
import { convertedLanguage } from "../graph/language.ts";
import type { Beside, Json } from "./beside.ts";

/** Key of our own section in config.json; a folder whose config.json has it was written by us. */
export const CONFIG_SECTION = "longconv_ssm";

/** Names under which models are known to end their texts. */
const END_TOKENS = ["<|endoftext|>", "</s>", "<eos>", "<|eos|>", "<|end_of_text|>", "[EOS]"];

/** Files to write, by name; `undefined` where there is nothing to say. */
export interface Configs {
  readonly config: Json;
  readonly generation: Json;
  readonly tokenizer: Json | undefined;
}

/**
 * The configuration of a converted model: the source's own fields, then what is known of the result.
 * @param fields of config.json that win over the source's
 * @param section more fields of our own section
 * @throws LongConvError tokenizer-mismatch where the tokenizer has ids that the model has not
 */
export function configsOf(model: Model, beside: Beside, fields: Json = {}, section: Json = {}): Configs {
  const vocabulary = declaredVocabulary(model);
  const ids = tokenIds(beside.tokenizer);
  if (vocabulary !== undefined && ids && ids.largest >= vocabulary) {
    const reason = `the tokenizer beside the model has ids up to ${ids.largest}, the model a vocabulary of ${vocabulary}`;
    const remedy = "Put the tokenizer.json that the model was trained with beside it, or write to a .onnx file.";
    throw new LongConvError("tokenizer-mismatch", reason, { file: model.file || undefined }, remedy);
  }
  const end = endToken(beside, ids);
  const endIds = end === undefined ? {} : { eos_token_id: end.id };
  return {
    config: {
      model_type: CONFIG_SECTION,
      ...endIds,
      ...beside.config,
      ...(vocabulary === undefined ? {} : { vocab_size: vocabulary }),
      ...longestText(model, beside),
      ...fields,
      [CONFIG_SECTION]: { ...sectionOf(model), ...section },
    },
    generation: { ...endIds, ...beside.generationConfig },
    tokenizer: beside.tokenizer && {
      tokenizer_class: "PreTrainedTokenizerFast",
      // batches are padded with it, and masked
      ...(end === undefined ? {} : { eos_token: end.content, pad_token: end.content }),
      ...beside.tokenizerConfig,
    },
  };
}

/** The field in which transformers looks for it: as the source says, but no more than is claimed of the model. */
function longestText(model: Model, { config }: Beside): Json {
  const end = endOf(reachOf(model.metadata, model.file || undefined), false).positions;
  const source = config?.max_position_embeddings;
  if (end === Infinity || (typeof source === "number" && source <= end)) return {};
  return { max_position_embeddings: end };
}

/** What the model's own metadata say. */
function sectionOf({ metadata }: Model): Json {
  const text = (key: string) => metadata.get(key);
  const layers = text(METADATA.layers);
  const { claim, positions } = reachOf(metadata);
  return {
    version: text(METADATA.version),
    converter: text(METADATA.converter),
    source_sha256: text(METADATA.sourceSha256),
    claim,
    positions,
    layers: layers === undefined ? undefined : JSON.parse(layers),
  };
}

/** Size of the vocabulary: the last dimension of the logits. */
function declaredVocabulary(model: Model): number | undefined {
  const logits = convertedLanguage(model)?.logits;
  const size = model.graph.outputs.find(({ name }) => name === logits)?.dims?.at(-1);
  return typeof size === "number" ? size : undefined;
}

interface TokenIds {
  readonly largest: number;
  /** Special tokens, by content. */
  readonly special: ReadonlyMap<string, number>;
}

// tokenizer.json: model.vocab is an object (BPE, WordPiece, WordLevel) or a list (Unigram); added_tokens is a list.
function tokenIds(tokenizer: Json | undefined): TokenIds | undefined {
  if (!tokenizer) return undefined;
  const vocab = (tokenizer.model as Json | undefined)?.vocab;
  const added = (tokenizer.added_tokens ?? []) as readonly { id: number; content: string; special?: boolean }[];
  const own = Array.isArray(vocab) ? [vocab.length - 1] : Object.values((vocab ?? {}) as Record<string, number>);
  return {
    largest: [...own, ...added.map(({ id }) => id)].reduce((a, b) => Math.max(a, b), -1),
    special: new Map(added.filter(({ special }) => special).map(({ id, content }) => [content, id])),
  };
}

/** The token that ends a text: as tokenizer_config.json names it, else the special token with a usual name. */
function endToken({ tokenizerConfig }: Beside, ids: TokenIds | undefined): { id: number; content: string } | undefined {
  const named = tokenizerConfig?.eos_token as string | { content?: string } | undefined;
  const content = typeof named === "string" ? named : named?.content;
  for (const each of content === undefined ? END_TOKENS : [content]) {
    const id = ids?.special.get(each);
    if (id !== undefined) return { id, content: each };
  }
  return undefined;
}
