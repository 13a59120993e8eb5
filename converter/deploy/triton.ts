/**
 * NVIDIA Triton Inference Server: the model for its ONNX Runtime backend, and config.pbtxt with the state in Triton's
 * hands ("implicit state") or in the client's.
 * Source: https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
 */
import { BATCH_SIZE, METADATA, NUM_LOGITS_TO_KEEP, pairStates } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { beyondClaim, reachOf } from "../../src/reach.ts";
import type { Model, ValueInfo } from "../graph/graph.ts";
import { withoutLengthCache } from "../graph/length-cache.ts";
import { DataType } from "../graph/tensor.ts";
import { withConstantInput } from "./constant.ts";

/**
 * How requests become batches. `direct`: a sequence keeps its row of the batch. `oldest`: waiting sequences are batched
 * dynamically, oldest first. `client`: no sequences; the client sends and receives the states, batched dynamically.
 */
export const STRATEGIES = ["direct", "oldest", "client"] as const;
export type Strategy = (typeof STRATEGIES)[number];

export interface TritonOptions {
  /** Name of the model in the repository. */
  readonly name: string;
  /** Default `oldest`. */
  readonly strategy?: Strategy | undefined;
  /** Rows of a batch at most; default 8, or fewer where the model claims no more. */
  readonly maxBatchSize?: number | undefined;
  /** Let `maxBatchSize` be more rows than the model claims. Default false. */
  readonly beyond?: boolean | undefined;
  /** How long a batch may wait for more requests; default 500 µs. */
  readonly maxQueueDelayMicroseconds?: number | undefined;
  /** A sequence whose client is silent for this long loses its state; default 60 s. */
  readonly maxIdleMicroseconds?: number | undefined;
  /** Sequences at a time with `oldest`; default 64. */
  readonly maxSequences?: number | undefined;
  /** Let Triton read and write a state in one buffer; default false. Converted models are safe for it. */
  readonly sameBuffer?: boolean | undefined;
}

/** Names of Triton's data types by onnx.TensorProto.DataType. */
const TYPES: Readonly<Record<number, string>> = {
  [DataType.FLOAT]: "TYPE_FP32",
  [DataType.UINT8]: "TYPE_UINT8",
  [DataType.INT8]: "TYPE_INT8",
  [DataType.INT32]: "TYPE_INT32",
  [DataType.INT64]: "TYPE_INT64",
  [DataType.BOOL]: "TYPE_BOOL",
  [DataType.FLOAT16]: "TYPE_FP16",
  [DataType.DOUBLE]: "TYPE_FP64",
  [DataType.BFLOAT16]: "TYPE_BF16",
};

/**
 * The model without what Triton cannot batch: the length cache, and `num_logits_to_keep`, a scalar, which is fixed.
 * @param logits positions of a request whose logits are given: the last, which is what generation needs, or all
 */
export const tritonModel = (model: Model, logits: "last" | "all" = "last"): Model =>
  withConstantInput(withoutLengthCache(model), NUM_LOGITS_TO_KEEP, logits === "last" ? 1 : 0);

/**
 * config.pbtxt for a model of {@link tritonModel}. Triton has no field for the longest sequence: the claim and the positions
 * are parameters, which a client can ask for.
 * @throws LongConvError bad-input for a state that grows in Triton's hands; beyond-claim for more rows; unsupported-layout where a tensor's first axis is not a batch of any size; not-converted
 */
export function tritonConfig(model: Model, options: TritonOptions): string {
  const { name, strategy = "oldest" } = options;
  const maxBatchSize = batchSizeOf(model, options);
  const { inputs, outputs } = model.graph;
  const pairs = pairStates(
    inputs.map((input) => input.name),
    outputs.map((output) => output.name),
  );
  if (pairs.length === 0)
    throw new LongConvError("not-converted", "the model carries no state", { file: model.file }, "Convert it first.");
  const grown = pairs.find(({ past }) =>
    inputs
      .find(({ name }) => name === past)!
      .dims?.slice(1)
      .some(isOpen),
  );
  if (grown && strategy !== "client")
    throw new LongConvError(
      "bad-input",
      "the state grows with the sequence, and Triton keeps states of one size: it could neither start it without rows nor batch sequences of different lengths",
      { file: model.file || undefined, tensor: grown.past },
      "Choose the strategy `client`: the client sends and receives the states.",
    );
  const states = new Set(strategy === "client" ? [] : pairs.flatMap(({ past, present }) => [past, present]));
  const plain = (infos: readonly ValueInfo[]) => infos.filter((info) => !states.has(info.name));
  const tensor = (info: ValueInfo): Message => ({
    name: info.name,
    data_type: typeOf(model, info),
    dims: dimsOf(model, info),
  });
  const delay = { max_queue_delay_microseconds: options.maxQueueDelayMicroseconds ?? 500 };
  const sequences = (): Message => ({
    max_sequence_idle_microseconds: options.maxIdleMicroseconds ?? 60_000_000,
    ...(strategy === "direct"
      ? { direct: delay }
      : { oldest: { max_candidate_sequences: options.maxSequences ?? 64, ...delay } }),
    state: pairs.map((pair) => stateOf(model, pair, options.sameBuffer ?? false)),
  });
  const said = [METADATA.claim, METADATA.positions, METADATA.missing].flatMap((key) => {
    const value = model.metadata.get(key);
    return value === undefined ? [] : [{ key, value: { string_value: value } }];
  });
  return messageText({
    name,
    backend: "onnxruntime",
    max_batch_size: maxBatchSize,
    input: plain(inputs).map(tensor),
    output: plain(outputs).map(tensor),
    ...(strategy === "client" ? { dynamic_batching: delay } : { sequence_batching: sequences() }),
    ...(said.length > 0 ? { parameters: said } : {}),
  });
}

function batchSizeOf(model: Model, { maxBatchSize, beyond = false }: TritonOptions): number {
  const file = model.file || undefined;
  const { claim } = reachOf(model.metadata, file);
  const claimed = beyond ? Infinity : (claim?.rows ?? Infinity);
  if (maxBatchSize !== undefined && maxBatchSize > claimed)
    throw beyondClaim(`a batch of ${maxBatchSize} rows`, claim!, file);
  return maxBatchSize ?? Math.min(8, claimed);
}

function stateOf(model: Model, pair: { past: string; present: string }, sameBuffer: boolean): Message {
  const info = model.graph.inputs.find(({ name }) => name === pair.past)!;
  const shape = { data_type: typeOf(model, info), dims: dimsOf(model, info) };
  return {
    input_name: pair.past,
    output_name: pair.present,
    ...shape,
    ...(sameBuffer ? { use_same_buffer_for_input_output: true } : {}),
    initial_state: [{ ...shape, zero_data: true, name: "zeros" }],
  };
}

function typeOf(model: Model, { name, type }: ValueInfo): string {
  const found = TYPES[type];
  if (found) return found;
  throw new LongConvError("bad-input", `Triton has no tensors of ONNX type ${type}`, {
    file: model.file,
    tensor: name,
  });
}

/** All dimensions but the batch; -1 for symbols. */
function dimsOf(model: Model, { name, dims }: ValueInfo): number[] {
  if (!dims?.length || typeof dims[0] === "number") {
    const reason = `Triton batches along the first axis, which must be '${BATCH_SIZE}'; the shape is [${dims ?? "unknown"}]`;
    throw new LongConvError("unsupported-layout", reason, { file: model.file || undefined, tensor: name });
  }
  return dims.slice(1).map((dim) => (typeof dim === "number" ? dim : -1));
}

const isOpen = (dim: unknown): boolean => typeof dim !== "number";

/** Enums are written without quotes. */
const ENUM_FIELDS = new Set(["data_type"]);

type Value = string | number | boolean | Message;
interface Message {
  readonly [field: string]: Value | readonly Value[];
}

/** Protobuf's text format: https://protobuf.dev/reference/protobuf/textformat-spec/ */
function messageText(message: Message, indent = ""): string {
  const line = (field: string, value: Value): string => {
    if (ENUM_FIELDS.has(field)) return `${indent}${field}: ${value}\n`;
    if (typeof value === "object") return `${indent}${field} {\n${messageText(value, `${indent}  `)}${indent}}\n`;
    return `${indent}${field}: ${JSON.stringify(value)}\n`;
  };
  return Object.entries(message)
    .map(([field, value]) => {
      if (!Array.isArray(value)) return line(field, value as Value);
      if (value.every((each) => typeof each === "number")) return `${indent}${field}: [ ${value.join(", ")} ]\n`;
      return value.map((each) => line(field, each)).join("");
    })
    .join("");
}
