/** ONNX Runtime GenAI: the names and ranks of states that its `decoder` models have, and genai_config.json. */
import {
  ATTENTION_MASK,
  INPUT_IDS,
  type LanguageNames,
  LOGITS,
  METADATA,
  NUM_LOGITS_TO_KEEP,
  pairStates,
} from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { beyondEnd, endOf, reachOf } from "../../src/reach.ts";
import { createBuilder, namesOf } from "../graph/build.ts";
import type { Model, ValueInfo } from "../graph/graph.ts";
import { convertedLanguage } from "../graph/language.ts";
import { withoutLengthCache } from "../graph/length-cache.ts";
import { DataType } from "../graph/tensor.ts";
import type { Json } from "../output/beside.ts";
import { withConstantInput } from "./constant.ts";

const KEY_OR_VALUE = /^past_key_values\.(\d+)\.(key|value)$/;
const RECURRENT = /^past_key_values\.(\d+)\.recurrent_state$/;

/** Indices in the names of inputs. */
const layersIn = (inputs: readonly ValueInfo[], name: RegExp): number[] =>
  inputs.flatMap((input) => name.exec(input.name)?.slice(1, 2).map(Number) ?? []);

/** Dimensions of the convolution state that GenAI wants beside each recurrent state. */
const DUMMY = ["batch_size", 1, 1] as const;

/**
 * The model under GenAI's names: state i is `past_key_values.{i}.recurrent_state` [batch_size, rows, channels, 1] →
 * `present.{i}.recurrent_state`, all of one shape, since GenAI gives every layer the first one's: smaller ones are padded
 * with zeros. Beside it is a `conv_state` [batch_size, 1, 1] that is passed through. The length
 * cache goes, and `num_logits_to_keep` becomes a constant 0: GenAI feeds no such input and picks the last logits itself.
 *
 * GenAI binds one buffer as past and present; each present is written by the last node, from a tensor of its own.
 * Keys and values keep their names, and the other states are layers between theirs.
 * @throws LongConvError bad-input where the model has no `input_ids` and `logits`, or a state of another kind or rank; not-converted where it has no states
 */
export function genaiModel(converted: Model): Model {
  const model = withConstantInput(withoutLengthCache(converted), NUM_LOGITS_TO_KEEP, 0);
  const { graph } = model;
  languageOf(model);
  const all = statesOf(model);
  refuseOtherShapes(all, model.file || undefined);
  const pairs = all.filter(({ past }) => !KEY_OR_VALUE.test(past));
  const caches = new Set(layersIn(graph.inputs, KEY_OR_VALUE));
  const layers = Array.from({ length: pairs.length + caches.size }, (_, i) => i).filter((i) => !caches.has(i));
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const [inputs, outputs]: ValueInfo[][] = [[], []];
  const after = b.subgraph();
  const shape = largestShape(pairs.map(({ info }) => info));
  for (const [k, { past, present, info }] of pairs.entries()) {
    const i = layers[k]!;
    const dims = ["batch_size", ...shape, 1];
    const state = (end: string, of: ValueInfo["dims"]) => [
      { name: `past_key_values.${i}.${end}`, type: DataType.FLOAT, dims: of },
      { name: `present.${i}.${end}`, type: DataType.FLOAT, dims: of },
    ];
    const [recurrentIn, recurrentOut] = state("recurrent_state", dims);
    const [dummyIn, dummyOut] = state("conv_state", DUMMY);
    const axis = b.ints("last_axis", [dims.length - 1]);
    const own = info.dims!.slice(1).map(Number);
    const rest = shape.map((size, k) => size - own[k]!);
    if (rest.every((size) => size === 0)) {
      b.add("Squeeze", [recurrentIn!.name, axis], {}, { outputs: [past], hint: past });
      after.add("Unsqueeze", [present, axis], {}, { outputs: [recurrentOut!.name], hint: present });
    } else {
      const padded = b.one("Squeeze", [recurrentIn!.name, axis], {}, { hint: past });
      const [from, axes] = [
        b.ints(
          "zeros",
          own.map(() => 0),
        ),
        b.ints(
          "axes",
          own.map((_, k) => k + 1),
        ),
      ];
      b.add("Slice", [padded, from, b.ints("own", own), axes], {}, { outputs: [past], hint: past });
      const pads = b.ints("pads", [0, ...own.map(() => 0), 0, ...rest]);
      const whole = after.one("Pad", [present, pads], {}, { hint: present });
      after.add("Unsqueeze", [whole, axis], {}, { outputs: [recurrentOut!.name], hint: present });
    }
    after.add("Identity", [dummyIn!.name], {}, { outputs: [dummyOut!.name], hint: "pass" });
    inputs!.push(dummyIn!, recurrentIn!);
    outputs!.push(dummyOut!, recurrentOut!);
  }
  const states = new Set(pairs.flatMap(({ past, present }) => [past, present]));
  return {
    ...model,
    // it describes the states under the names that they had
    metadata: new Map([...model.metadata].filter(([key]) => key !== METADATA.layers)),
    graph: {
      inputs: [...graph.inputs.filter(({ name }) => !states.has(name)), ...inputs!],
      outputs: [...graph.outputs.filter(({ name }) => !states.has(name)), ...outputs!],
      nodes: [...b.nodes, ...graph.nodes, ...after.nodes],
      initializers: new Map([...graph.initializers, ...b.initializers]),
    },
  };
}

/** Pairs of states with the declaration of the past. */
function statesOf({ graph, file }: Model): { past: string; present: string; info: ValueInfo }[] {
  const names = (infos: readonly ValueInfo[]) => infos.map(({ name }) => name);
  const pairs = pairStates(names(graph.inputs), names(graph.outputs));
  if (pairs.length === 0)
    throw new LongConvError("not-converted", "the model carries no state", { file }, "Convert it first.");
  return pairs.map((pair) => ({ ...pair, info: graph.inputs.find(({ name }) => name === pair.past)! }));
}

/** @throws LongConvError bad-input for a state that GenAI's are not made for */
function refuseOtherShapes(pairs: readonly { readonly info: ValueInfo }[], file: string | undefined): void {
  const refuse = (tensor: string, reason: string) =>
    new LongConvError(
      "bad-input",
      `${reason}; ONNX Runtime GenAI has keys and values that grow, and states of two dimensions of a fixed size`,
      { file, tensor },
      "Use longconv-ssm's own runtime, transformers.js or ONNX Runtime itself for this model.",
    );
  for (const { info } of pairs) {
    if (KEY_OR_VALUE.test(info.name)) continue;
    const dims = info.dims?.slice(1) ?? [];
    if (dims.some((dim) => typeof dim !== "number")) throw refuse(info.name, "the state grows, and is no key or value");
    if (dims.length !== 2) throw refuse(info.name, `the state has ${dims.length} dimensions behind the batch`);
  }
}

/** The largest of each dimension behind the batch. */
function largestShape(infos: readonly ValueInfo[]): number[] {
  const shapes = infos.map(({ dims }) => dims!.slice(1).map(Number));
  return (shapes[0] ?? []).map((_, k) => Math.max(...shapes.map((dims) => dims[k]!)));
}

function languageOf(model: Model): LanguageNames {
  const names = convertedLanguage(model);
  if (names) return names;
  const reason = `ONNX Runtime GenAI generates text: it needs the input '${INPUT_IDS}' and the output '${LOGITS}'`;
  throw new LongConvError("bad-input", reason, { file: model.file }, "Use onnxruntime itself for other models.");
}

export interface GenaiConfigOptions {
  /** Name of the model file; default model.onnx. */
  readonly file?: string;
  /** Tokens of prompt and text together at most; GenAI asks for a number. Default 1048576, or what the model claims. */
  readonly contextLength?: number | undefined;
  /** Let `contextLength` be more than the model claims (not more than its positions). Default false. */
  readonly beyond?: boolean | undefined;
  /** Token ids that end a text, one at least: GenAI accepts no model without. */
  readonly endTokens: readonly number[];
}

/**
 * genai_config.json for a model of {@link genaiModel}: greedy unless the caller asks for sampling.
 * @throws LongConvError bad-input where the vocabulary is unknown, usage without an end token in it; beyond-claim,
 *   beyond-positions for a longer context
 * Source: https://onnxruntime.ai/docs/genai/reference/config.html
 */
export function genaiConfig(model: Model, options: GenaiConfigOptions): Json {
  const { file = "model.onnx", endTokens } = options;
  const contextLength = contextLengthOf(model, options);
  const { ids, logits } = languageOf(model);
  const vocabulary = model.graph.outputs.find(({ name }) => name === logits)!.dims?.at(-1);
  if (typeof vocabulary !== "number") {
    const reason = "the logits' last dimension must be a number, the size of the vocabulary";
    throw new LongConvError("bad-input", reason, { file: model.file, tensor: logits });
  }
  const unknown = endTokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabulary);
  if (endTokens.length === 0 || unknown !== undefined) {
    const reason =
      unknown === undefined ? "no token that ends a text is known" : `${unknown} is no token that ends a text`;
    const remedy = `ONNX Runtime GenAI needs one from 0 to ${vocabulary - 1}: name it in \`endTokens\`, or as eos_token_id in generation_config.json.`;
    throw new LongConvError("usage", reason, { file: model.file }, remedy);
  }
  const { inputs } = model.graph;
  const [recurrent, cache] = [RECURRENT, KEY_OR_VALUE].map((kind) => inputs.find(({ name }) => kind.test(name))?.dims);
  const layers = [RECURRENT, KEY_OR_VALUE].flatMap((kind) => layersIn(inputs, kind));
  const [heads, width] = [1, 3].map((axis) => Number(cache?.[axis] ?? 1));
  const masked = inputs.some(({ name }) => name === ATTENTION_MASK);
  const end = endTokens.length === 1 ? endTokens[0]! : endTokens;
  return {
    model: {
      type: "decoder",
      vocab_size: vocabulary,
      context_length: contextLength,
      eos_token_id: end,
      pad_token_id: endTokens[0],
      decoder: {
        session_options: { log_id: "onnxruntime-genai", provider_options: [] },
        filename: file,
        // without attention these only have to be there
        num_attention_heads: heads!,
        num_key_value_heads: heads!,
        head_size: width!,
        hidden_size: Number(recurrent?.[2] ?? heads! * width!),
        num_hidden_layers: Math.max(-1, ...layers) + 1,
        inputs: {
          input_ids: ids,
          ...(masked ? { attention_mask: ATTENTION_MASK } : {}),
          past_key_names: "past_key_values.%d.key",
          past_value_names: "past_key_values.%d.value",
        },
        outputs: {
          logits,
          present_key_names: "present.%d.key",
          present_value_names: "present.%d.value",
        },
      },
    },
    search: {
      do_sample: false,
      max_length: Math.min(contextLength, 4096),
      num_beams: 1,
      past_present_share_buffer: false,
    },
  };
}

function contextLengthOf(model: Model, { contextLength, beyond = false }: GenaiConfigOptions): number {
  const reach = reachOf(model.metadata, model.file || undefined);
  const end = endOf(reach, beyond);
  if (contextLength !== undefined && contextLength > end.positions)
    throw beyondEnd(`a context of ${contextLength} tokens`, reach, end, model.file || undefined);
  return contextLength ?? Math.min(2 ** 20, end.positions);
}
