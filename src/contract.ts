/** What a converted model and everything that drives it agree on: names of tensors, states and metadata. */
import { checkArguments } from "./checks.ts";

/** Version of this contract, written to `longconv.version`. */
export const CONTRACT_VERSION = "1";

/**
 * Of a model with a state that grows, rows of keys and values: its axis of a symbolic size, `past_sequence_length`, is 0 at the start
 * of a sequence and as long as what was read after it. A driver that knows version 1 alone does not carry it.
 */
export const CONTRACT_VERSION_GROWING = "2";

/** The versions that this package drives. */
export const KNOWN_VERSIONS: readonly string[] = [CONTRACT_VERSION, CONTRACT_VERSION_GROWING];

/** Rows of an attention's keys and values: [batch_size, heads, past_sequence_length, width], float32, none at the start. */
export const pastKeyValues = (index: number, part: string): string => `past_key_values.${index}.${part}`;
export const presentKeyValues = (index: number, part: string): string => `present.${index}.${part}`;

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
/** What Hugging Face calls the places of the tokens; no input of a converted model, which counts them. */
export const POSITION_IDS = "position_ids";
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
  /**
   * JSON: how many of the first positions each output lacks in the export, by its name: its rows there mean nothing. Left out where none
   * lacks any.
   */
  missing: "longconv.missing",
  /** JSON: {@link Claim}, the least of those of the states. */
  claim: "longconv.claim",
  /** Of a language model: the names of its ids and of its logits, a line each. */
  language: "longconv.language",
  /** JSON: names of the source's float32 matrices, which may be stored in fewer bits; a recurrence's are not among them. */
  matrices: "longconv.matrices",
  /** JSON: the comparison made before the model was written. */
  check: "longconv.check",
} as const;

/**
 * How far a model, or one of its states, is known to be what it was exported as. `proven`: by rule, at any length and
 * batch size that `positions` and `rows` do not limit; they do where the export itself ends. `seen`: compared up to there, and not known beyond. `ends`: another
 * model, or none, beyond.
 */
export interface Claim {
  readonly kind: "proven" | "seen" | "ends";
  /** Positions of a sequence up to which it is claimed; without it, any number. */
  readonly positions?: number | undefined;
  /** Rows of a batch up to which it is claimed; without it, any number. */
  readonly rows?: number | undefined;
  /** The node of the source graph because of which no more is claimed. */
  readonly node?: string | undefined;
  /** Why no more is claimed, in words that follow the node's name. */
  readonly because?: string | undefined;
}

/** "proven", "seen to 16384 positions and 64 rows because 'node_DFT_3': …", "ends at 512 positions because …" */
export function describeClaim(claim: Claim): string {
  checkArguments({ claim: ["options", claim] });
  const { kind, positions, rows, node, because } = claim;
  const limits = [
    positions === undefined ? [] : [`${positions} positions`],
    rows === undefined ? [] : [`${rows} rows`],
  ].flat();
  const reach = limits.length > 0 ? ` ${kind === "ends" ? "at" : "to"} ${limits.join(" and ")}` : "";
  const why = [node === undefined ? [] : [`'${node}'`], because === undefined ? [] : [because]].flat().join(": ");
  return `${kind}${reach}${why ? ` because ${why}` : ""}`;
}

const WEAKNESS = { proven: 0, seen: 1, ends: 2 } as const;

/** What is claimed of a whole, from the claims of its parts: the shortest reach, with its reason. */
export function leastClaim(claims: readonly Claim[]): Claim {
  checkArguments({ claims: ["list", claims] });
  const reachOf = ({ positions = Infinity, rows = Infinity }: Claim) => [positions, rows] as const;
  const sorted = claims.toSorted((a, b) => {
    const [[n, rows], [m, others]] = [reachOf(a), reachOf(b)];
    return (n === m ? 0 : n - m) || (rows === others ? 0 : rows - others) || WEAKNESS[b.kind] - WEAKNESS[a.kind];
  });
  const [shortest] = sorted;
  if (!shortest) return { kind: "proven" };
  const rows = Math.min(...claims.map((claim) => claim.rows ?? Infinity));
  // up to where a proof ends, no more is known of the whole than of its weakest part
  const kind = sorted.reduce<Claim["kind"]>((a, b) => (WEAKNESS[b.kind] > WEAKNESS[a] ? b.kind : a), "proven");
  const weakest = shortest.kind === "proven" && shortest.positions !== undefined ? { kind } : {};
  return { ...shortest, ...weakest, ...(rows < Infinity && { rows }) };
}

/** What the metadata says of one state: of a converted convolution, of an operator that is kept, of the counter of positions. */
export interface LayerMetadata {
  /** Index in past_ssm.{i}, past_conv.{i} or past_key_values.{i}; values have the one after their key here. */
  readonly index: number;
  readonly state: "ssm" | "conv" | "cache";
  /** Name of the node at which the convolution began in the source graph; of a counter, the first that meets positions. */
  readonly node: string;
  /** How it is carried: the forms of a convolution, or what an operator that is kept as it is reads beside its new inputs. */
  readonly form:
    | "exact"
    | "compact"
    | "diagonal"
    | "mixed"
    | "window"
    | "counter"
    | "rows"
    | "recurrent"
    | "sum"
    | "cache";
  readonly channels: number;
  /** Lags of the kernel that the form reproduces; 0 for what has none. */
  readonly lags: number;
  /** Real numbers of state per channel. */
  readonly order: number;
  /** Dimensions of the state behind the batch; without them, [order, channels]. */
  readonly dims?: readonly number[] | undefined;
  /** Relative error over those lags: norm of the difference over norm of the kernel. */
  readonly error: number;
  /** How far this state is known to be right. */
  readonly claim: Claim;
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
  checkArguments({ inputNames: ["list", inputNames], outputNames: ["list", outputNames] });
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

/** The two tensors of a language model: token ids [batch_size, sequence_length], and logits [batch_size, kept, vocabulary]. */
export interface LanguageNames {
  readonly ids: string;
  readonly logits: string;
}

/**
 * The definition of a converted language model, for everything that drives one: its metadata name its ids and logits, or
 * they are called `input_ids` and `logits`; and no other input is its own.
 * @returns undefined for any other model
 */
export function languageNames(
  inputNames: readonly string[],
  outputNames: readonly string[],
  metadata: ReadonlyMap<string, string>,
): LanguageNames | undefined {
  checkArguments({ inputNames: ["list", inputNames], outputNames: ["list", outputNames], metadata: ["map", metadata] });
  const [ids = INPUT_IDS, logits = LOGITS] = metadata.get(METADATA.language)?.split("\n") ?? [];
  const own = inputNames.filter((name) => !isDriven(name));
  return own.length === 1 && own[0] === ids && outputNames.includes(logits) ? { ids, logits } : undefined;
}

/** Whether drivers of converted models give an input of this name its values: a state, the mask, the number of logits. */
export function isDriven(name: string): boolean {
  checkArguments({ name: ["text", name] });
  return name.startsWith("past_") || name === ATTENTION_MASK || name === NUM_LOGITS_TO_KEEP;
}

/** Whether drivers take an output of this name for a state. */
export function isPresent(name: string): boolean {
  checkArguments({ name: ["text", name] });
  return name.startsWith("present_") || name.startsWith("present.");
}
