/** What a converted model and everything that drives it agree on: names of tensors, states and metadata. */

/** Version of this contract, written to `longconv.version`. */
export const CONTRACT_VERSION = "1";

/** State of a long convolution: [batch_size, order, channels], float32, zeros at the start. */
export const pastSsm = (index: number): string => `past_ssm.${index}`;
export const presentSsm = (index: number): string => `present_ssm.${index}`;

/** Window of past inputs: [batch_size, lags, channels], float32, oldest first, zeros at the start. */
export const pastConv = (index: number): string => `past_conv.${index}`;
export const presentConv = (index: number): string => `present_conv.${index}`;

export const INPUT_IDS = "input_ids";
export const LOGITS = "logits";
/** [batch_size, total_length] int64: 1 for a token, 0 for padding; only the last sequence_length columns are read. */
export const ATTENTION_MASK = "attention_mask";
/** int64 scalar: logits of how many last positions; 0 means all. */
export const NUM_LOGITS_TO_KEEP = "num_logits_to_keep";

export const BATCH_SIZE = "batch_size";
export const SEQUENCE_LENGTH = "sequence_length";
export const TOTAL_LENGTH = "total_length";

/** Keys of the converted model's metadata_props. All values are strings; those marked JSON are JSON. */
export const METADATA = {
  version: "longconv.version",
  /** Version of the converter. */
  converter: "longconv.converter",
  /** SHA-256 of the source file, hexadecimal. */
  sourceSha256: "longconv.source_sha256",
  /** JSON: {@link LayerMetadata}[], one for every state. */
  layers: "longconv.layers",
  /** How many positions the model can read, where a table of positions ends; without it, any number. */
  positions: "longconv.positions",
  /** JSON: the comparison made before the model was written. */
  check: "longconv.check",
} as const;

/** What the metadata says of one converted convolution, or of the counter of positions. */
export interface LayerMetadata {
  /** Index in past_ssm.{i} or past_conv.{i}. */
  readonly index: number;
  readonly state: "ssm" | "conv";
  /** Name of the node at which the convolution began in the source graph; of a counter, the first that meets positions. */
  readonly node: string;
  readonly form: "exact" | "compact" | "diagonal" | "window" | "counter";
  readonly channels: number;
  /** Lags of the kernel that the form reproduces; 0 for a counter, which has none. */
  readonly lags: number;
  /** Real numbers of state per channel. */
  readonly order: number;
  /** Relative error over those lags: norm of the difference over norm of the kernel. */
  readonly error: number;
}

/** A state tensor of a model, paired by name. */
export interface StatePair {
  readonly past: string;
  readonly present: string;
}

/**
 * Pairs `past_*` inputs with `present_*` outputs by name; `past_key_values.0.key` pairs with `present.0.key`.
 * @returns the pairs in the order of the inputs
 */
export function pairStates(inputNames: readonly string[], outputNames: readonly string[]): StatePair[] {
  const outputs = new Set(outputNames);
  const pairs: StatePair[] = [];
  for (const past of inputNames) {
    if (!past.startsWith("past_")) continue;
    const suffix = past.slice("past_".length);
    const present = [`present_${suffix}`, `present${suffix.replace(/^key_values/, "")}`].find((name) =>
      outputs.has(name),
    );
    if (present) pairs.push({ past, present });
  }
  return pairs;
}
