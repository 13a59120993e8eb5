/** A tiny recurrent model, built by hand as the contract says, and its arithmetic in float64. */
import proto, { type onnx } from "onnx-proto";
import { ATTENTION_MASK, INPUT_IDS, LOGITS, NUM_LOGITS_TO_KEEP } from "../src/contract.ts";

const FLOAT = 1;
const INT64 = 7;
const BOOL = 9;
const FLOAT16 = 10;

export const CHANNELS = 4;
export const ORDER = 3;
export const LAGS = 2;

/** Weights, rounded to float32: x is a row of `embedding`, or the signal itself. */
export interface TinyWeights {
  readonly vocabulary: number;
  /** [vocabulary × channels] */
  readonly embedding: Float32Array;
  /** [order] */
  readonly poles: Float32Array;
  /** [order × channels] */
  readonly residues: Float32Array;
  /** [(lags + 1) × channels], oldest first. */
  readonly taps: Float32Array;
  /** [channels × vocabulary] */
  readonly head: Float32Array;
}

export interface TinyOptions {
  readonly mask?: boolean;
  readonly keep?: boolean;
  /** Takes `signal` [batch, n, channels] and gives `features` [batch, n, channels] instead of tokens and logits. */
  readonly signal?: boolean;
  /** The signal is [batch, channels, n]. */
  readonly channelsFirst?: boolean;
  /** Name of the dimension of time. */
  readonly time?: string;
  readonly batch?: number | string;
  /** Logits in float16. */
  readonly halfLogits?: boolean;
  /** Leave the vocabulary out of the declared shape of the logits. */
  readonly hideVocabulary?: boolean;
  /** Declared dims of past_ssm.0 after the batch. */
  readonly stateDims?: readonly (number | string)[];
  /** Names, where they are not the contract's. */
  readonly rename?: Readonly<Record<string, string>>;
}

export function tinyWeights({ vocabulary = 16, seed = 1 } = {}): TinyWeights {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const random = (length: number, scale: number) => Float32Array.from({ length }, () => scale * 2 * uniform());
  return {
    vocabulary,
    embedding: random(vocabulary * CHANNELS, 1),
    poles: Float32Array.of(0.95, -0.6, 0.3),
    residues: random(ORDER * CHANNELS, 0.7),
    taps: random((LAGS + 1) * CHANNELS, 0.7),
    head: random(CHANNELS * vocabulary, 2),
  };
}

/** Logits (or features) after every position of one sequence, in float64. `input`: ids, or rows of a signal. */
export function tinyReference(weights: TinyWeights, input: readonly number[] | readonly Float32Array[]): number[][] {
  const { vocabulary, embedding, poles, residues, taps, head } = weights;
  const state = new Float64Array(ORDER * CHANNELS);
  const window: Float32Array[] = Array.from({ length: LAGS }, () => new Float32Array(CHANNELS));
  return input.map((item) => {
    const isToken = typeof item === "number";
    const x = isToken ? embedding.subarray(item * CHANNELS, (item + 1) * CHANNELS) : item;
    window.push(x);
    const hidden = Array.from({ length: CHANNELS }, (_, c) => {
      let sum = 0;
      for (let s = 0; s < ORDER; s++) {
        const at = s * CHANNELS + c;
        state[at] = poles[s]! * state[at]! + x[c]!;
        sum += residues[at]! * state[at]!;
      }
      for (let lag = 0; lag <= LAGS; lag++) sum += taps[lag * CHANNELS + c]! * window[lag]![c]!;
      return Math.tanh(sum);
    });
    window.shift();
    if (!isToken) return hidden;
    return Array.from({ length: vocabulary }, (_, token) =>
      hidden.reduce((sum, value, c) => sum + value * head[c * vocabulary + token]!, 0),
    );
  });
}

/** The model as bytes of an ONNX file (opset 17). */
export function tinyModel(weights: TinyWeights, options: TinyOptions = {}): Uint8Array {
  const {
    mask,
    keep,
    signal,
    batch = "batch_size",
    time = "sequence_length",
    halfLogits,
    hideVocabulary,
    stateDims = [ORDER, CHANNELS],
  } = options;
  const named = (name: string) => options.rename?.[name] ?? name;
  const nodes: onnx.INodeProto[] = [];
  const initializers: onnx.ITensorProto[] = [];
  const constant = (name: string, data: Float32Array | bigint[], dims: number[]) => {
    const bytes = Array.isArray(data) ? BigInt64Array.from(data) : data;
    const rawData = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    initializers.push({ name, dims, dataType: Array.isArray(data) ? INT64 : FLOAT, rawData });
    return name;
  };
  const int = (value: number, dims = [1]) => constant(`int${initializers.length}`, [BigInt(value)], dims);
  const node = (
    opType: string,
    input: string[],
    attributes: Record<string, number | number[]> = {},
    output?: string,
  ) => {
    const name = output ?? `${opType}${nodes.length}`;
    const attribute = Object.entries(attributes).map(([key, value]) =>
      Array.isArray(value) ? { name: key, type: 7, ints: value } : { name: key, type: 2, i: value },
    );
    nodes.push({ opType, input, output: [name], name: `node_${name}`, attribute });
    return name;
  };
  const slice = (from: string, start: string, end: string, axis: number, output?: string) =>
    node("Slice", [from, start, end, int(axis)], {}, output);
  const end = int(2 ** 52);

  // x [batch, T, channels]
  const embedding = () => constant("embedding", weights.embedding, [weights.vocabulary, CHANNELS]);
  let x = options.channelsFirst
    ? node("Transpose", ["signal"], { perm: [0, 2, 1] })
    : signal
      ? "signal"
      : node("Gather", [embedding(), named(INPUT_IDS)]);
  const shape = node("Shape", [x], { start: 1, end: 2 });
  const length = node("Squeeze", [shape]);
  if (mask) {
    const columns = slice(ATTENTION_MASK, node("Neg", [shape]), end, 1);
    const factor = node("Unsqueeze", [node("Cast", [columns], { to: FLOAT }), int(-1)]);
    x = node("Mul", [x, factor]);
  }
  // u_t = λ^(t+1) u_past + Σ_{j≤t} λ^(t-j) x_j, all positions at once: [batch, order, T, channels]
  const position = node("Cast", [node("Range", [int(0, []), length, int(1, [])])], { to: FLOAT });
  const poles = constant("poles", weights.poles, [ORDER, 1, 1]);
  const row = node("Unsqueeze", [position, int(1)]);
  const distance = node("Sub", [row, node("Unsqueeze", [position, int(0)])]);
  const zero = constant("zero", Float32Array.of(0), []);
  const causal = node("Cast", [node("GreaterOrEqual", [distance, zero])], { to: FLOAT });
  const decay = node("Mul", [node("Pow", [poles, node("Relu", [distance])]), causal]);
  const driven = node("MatMul", [decay, node("Unsqueeze", [x, int(1)])]);
  const one = constant("one", Float32Array.of(1), []);
  const powers = node("Pow", [poles, node("Add", [row, one])]);
  const carried = node("Mul", [powers, node("Unsqueeze", [named("past_ssm.0"), int(2)])]);
  const u = node("Add", [driven, carried]);
  const residues = constant("residues", weights.residues, [ORDER, 1, CHANNELS]);
  let y = node("ReduceSum", [node("Mul", [u, residues]), int(1)], { keepdims: 0 });
  node("Gather", [u, int(-1, [])], { axis: 2 }, named("present_ssm.0"));
  // The window of past inputs
  const full = node("Concat", [named("past_conv.0"), x], { axis: 1 });
  for (let lag = 0; lag <= LAGS; lag++) {
    const tap = constant(`tap${lag}`, weights.taps.slice(lag * CHANNELS, (lag + 1) * CHANNELS), [CHANNELS]);
    const shifted = slice(full, int(lag), lag === LAGS ? end : int(lag - LAGS), 1);
    y = node("Add", [y, node("Mul", [shifted, tap])]);
  }
  slice(full, int(-LAGS), end, 1, named("present_conv.0"));
  let hidden = node("Tanh", [y], {}, signal ? "features" : undefined);
  if (keep) {
    const count = node("Reshape", [NUM_LOGITS_TO_KEEP, int(1)]);
    const all = node("Cast", [node("Equal", [count, int(0)])], { to: BOOL });
    hidden = slice(hidden, node("Where", [all, int(0), node("Neg", [count])]), end, 1);
  }
  const { vocabulary } = weights;
  if (!signal) {
    const head = constant("head", weights.head, [CHANNELS, vocabulary]);
    const logits = node("MatMul", [hidden, head], {}, halfLogits ? undefined : named(LOGITS));
    if (halfLogits) node("Cast", [logits], { to: FLOAT16 }, named(LOGITS));
  }

  const value = (name: string, elemType: number, dims: readonly (number | string)[]): onnx.IValueInfoProto => ({
    name,
    type: {
      tensorType: {
        elemType,
        shape: { dim: dims.map((dim) => (typeof dim === "number" ? { dimValue: dim } : { dimParam: dim })) },
      },
    },
  });
  const stateValues = (when: string) => [
    value(named(`${when}_ssm.0`), FLOAT, [batch, ...stateDims]),
    value(named(`${when}_conv.0`), FLOAT, [batch, LAGS, CHANNELS]),
  ];
  const input = [
    signal
      ? value("signal", FLOAT, options.channelsFirst ? [batch, CHANNELS, time] : [batch, time, CHANNELS])
      : value(named(INPUT_IDS), INT64, [batch, time]),
    ...(mask ? [value(ATTENTION_MASK, INT64, [batch, "total_length"])] : []),
    ...(keep ? [value(NUM_LOGITS_TO_KEEP, INT64, [])] : []),
    ...stateValues("past"),
  ];
  const output = [
    signal
      ? value("features", FLOAT, [batch, time, CHANNELS])
      : value(named(LOGITS), halfLogits ? FLOAT16 : FLOAT, [batch, "kept", hideVocabulary ? "vocabulary" : vocabulary]),
    ...stateValues("present"),
  ];
  return proto.onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: "", version: 17 }],
    graph: { name: "tiny", node: nodes, initializer: initializers, input, output },
  }).finish();
}

/** Greedy tokens by running the whole sequence again in float64. */
export function tinyGreedy(weights: TinyWeights, prompt: readonly number[], count: number): number[] {
  const ids = [...prompt];
  for (let made = 0; made < count; made++) {
    const logits = tinyReference(weights, ids).at(-1)!;
    ids.push(logits.indexOf(Math.max(...logits)));
  }
  return ids.slice(prompt.length);
}
