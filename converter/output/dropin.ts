/** What makes the folder one that stock transformers.js loads: the length cache, and the fields of config.json. */
import { readdirSync } from "node:fs";
import path from "node:path";
import { ATTENTION_MASK, INPUT_IDS } from "../../src/contract.ts";
import { withInt64Ids } from "../assemble/int64-ids.ts";
import { isForTransformersJs } from "../assemble/language-inputs.ts";
import type { Model } from "../graph/graph.ts";
import { convertedLanguage } from "../graph/language.ts";
import { withLengthCache } from "../graph/length-cache.ts";
import type { Json } from "./beside.ts";
import { CONFIG_SECTION } from "./configs.ts";

/**
 * The family of transformers.js whose caches have the names past_ssm.{i} and past_conv.{i}, and which makes no zero
 * states but those that the session asks for.
 */
const MODEL_TYPE = "granitemoehybrid";

const NOTE = `model_type '${MODEL_TYPE}' is the family whose cache names transformers.js 4 has for state space models; this is a long-convolution model that longconv-ssm made recurrent, and no Granite model`;

/** Whether a converted model is one that transformers.js can drive. */
export function hasNamesOfTransformersJs(model: Model): boolean {
  const hasMask = model.graph.inputs.some(({ name }) => name === ATTENTION_MASK);
  return isForTransformersJs(convertedLanguage(model), hasMask);
}

/** A model for transformers.js, and what config.json must say of it. */
export interface DropIn {
  readonly model: Model;
  /** Fields that win over the source's. */
  readonly config: Json;
  /** More fields of our own section. */
  readonly section: Json;
}

/**
 * Names the family under which the model is loaded; one that was converted without `transformersJs` gets int64 ids, and the length cache
 * where no state grows.
 * @param source config.json of the source
 */
export function forTransformersJs(model: Model, source: Json = {}): DropIn {
  const indices = model.graph.inputs.flatMap(({ name }) => {
    const index = /^past_(?:ssm|conv|key_values)\.(\d+)/.exec(name)?.[1];
    return index === undefined ? [] : [Number(index)];
  });
  return {
    model: withLengthCache(withInt64Ids(model), INPUT_IDS),
    config: {
      model_type: MODEL_TYPE,
      architectures: ["GraniteMoeHybridForCausalLM"],
      // states past_ssm.0 … past_ssm.{n-1} are looked for, and those that the session has are made
      num_hidden_layers: Math.max(-1, ...indices) + 1,
      // with these, only the states of some layers would be looked for
      layer_types: undefined,
      layers_block_type: undefined,
    },
    section: { note: NOTE, source_model_type: ownType(source) },
  };
}

/** What the exported model was; a converted folder says so in its section. */
const ownType = (source: Json): unknown =>
  CONFIG_SECTION in source ? (source[CONFIG_SECTION] as Json).source_model_type : source.model_type;

/** config.json with what transformers.js must know of the files beside it, once they are written. */
export function withFilesBeside(config: Json, file: string): Json {
  const folder = path.join(path.dirname(file), "onnx");
  const outside = readdirSync(folder)
    .filter((name) => /^model(_[^.]*)?\.onnx_data$/.test(name))
    .map((name) => name.replace(/_data$/, ""));
  const others = readdirSync(folder).some((name) => /^model_(?!step\b)[^.]*\.onnx$/.test(name));
  const external = others ? Object.fromEntries(outside.map((name) => [name, true])) : true;
  return {
    ...config,
    "transformers.js_config": {
      ...(config["transformers.js_config"] as Json | undefined),
      // onnx/model.onnx; in a browser it would look for a quantized file
      dtype: "fp32",
      ...(outside.length > 0 ? { use_external_data_format: external } : {}),
    },
  };
}
