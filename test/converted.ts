/** Drives a converted model in tests, with onnxruntime-node and its default options alone: nothing of the converter's own check. */

import { encodeModel } from "../converter/file/encode.ts";
import type { Model } from "../converter/graph/graph.ts";
import { zeroTensor } from "../converter/graph/integers.ts";
import { DataType, elementCount, makeTensor, type Tensor, type TypedArray } from "../converter/graph/tensor.ts";
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP, pairStates } from "../src/contract.ts";
import { InferenceSession, Tensor as OrtTensor } from "../src/onnxruntime-node.ts";

/** Time axis of inputs and outputs by name, where it is not 1; -1 where there is none. */
export type TimeAxes = Readonly<Record<string, number>>;

/** One sequence being read, its states carried. */
export interface Stepper {
  /** Reads the next piece: outputs of the original model for it. */
  read(piece: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
}

/** A converted model in a session. */
export interface Converted {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /**
   * Reads a sequence in pieces, states carried from one to the next.
   * @param feeds inputs of the original model
   * @param cuts ascending ends of the pieces; the last is the length
   * @returns outputs of the original model, the pieces joined along time (without a time axis: of the last piece)
   */
  run(feeds: Readonly<Record<string, Tensor>>, cuts: readonly number[]): Promise<Record<string, Tensor>>;
  /** Begins a sequence (or a batch of them). */
  stepper(): Stepper;
  close(): Promise<void>;
}

const ORT_TYPES: Readonly<Record<number, OrtTensor.Type>> = {
  [DataType.FLOAT]: "float32",
  [DataType.DOUBLE]: "float64",
  [DataType.INT64]: "int64",
  [DataType.INT32]: "int32",
  [DataType.BOOL]: "bool",
  [DataType.UINT8]: "uint8",
  [DataType.INT8]: "int8",
  [DataType.UINT16]: "uint16",
  [DataType.INT16]: "int16",
  [DataType.UINT32]: "uint32",
};

/** Opens a converted model. */
export async function openConverted(model: Model, axes: TimeAxes = {}): Promise<Converted> {
  const session = await InferenceSession.create(encodeModel(model));
  const pairs = pairStates(session.inputNames, session.outputNames);
  const pasts = new Set(pairs.map(({ past }) => past));
  const presents = new Set(pairs.map(({ present }) => present));
  const outputs = session.outputNames.filter((name) => !presents.has(name));
  const axisOf = (name: string) => axes[name] ?? 1;
  const stepper = (): Stepper => {
    let states: Record<string, OrtTensor> | undefined;
    let total = 0;
    let columns: Tensor | undefined;
    return {
      async read(piece) {
        const [name, main] = Object.entries(piece)[0]!;
        const batch = main.dims[axisOf(name) === 0 ? 1 : 0]!;
        total += main.dims[axisOf(name)]!;
        const feeds: Record<string, OrtTensor> = { ...(states ?? zeroStates(model, pasts, batch)) };
        for (const [input, tensor] of Object.entries(piece))
          if (session.inputNames.includes(input)) feeds[input] = ortTensor(tensor);
        // a mask that is given has columns for what was read before, too
        const own = piece[ATTENTION_MASK];
        if (own?.type === DataType.INT64 && feeds[ATTENTION_MASK]) {
          columns = columns ? joinAxis([columns, own], 1) : own;
          feeds[ATTENTION_MASK] = ortTensor(columns);
        }
        // an input of the original may have either name
        if (session.inputNames.includes(ATTENTION_MASK) && !feeds[ATTENTION_MASK])
          feeds[ATTENTION_MASK] = new OrtTensor("int64", new BigInt64Array(batch * total).fill(1n), [batch, total]);
        if (session.inputNames.includes(NUM_LOGITS_TO_KEEP) && !feeds[NUM_LOGITS_TO_KEEP])
          feeds[NUM_LOGITS_TO_KEEP] = new OrtTensor("int64", new BigInt64Array(1), []);
        const results = await session.run(feeds);
        states = Object.fromEntries(pairs.map(({ past, present }) => [past, results[present]!]));
        return Object.fromEntries(outputs.map((output) => [output, ownTensor(results[output]!)]));
      },
    };
  };
  return {
    inputs: session.inputNames,
    outputs,
    stepper,
    async run(feeds, cuts) {
      const { read } = stepper();
      const pieces: Record<string, Tensor>[] = [];
      for (const [i, to] of cuts.entries()) {
        const slice = ([name, tensor]: [string, Tensor]): [string, Tensor] => [
          name,
          axisOf(name) < 0 ? tensor : sliceAxis(tensor, axisOf(name), cuts[i - 1] ?? 0, to),
        ];
        pieces.push(await read(Object.fromEntries(Object.entries(feeds).map(slice))));
      }
      const joined = (name: string) => {
        const tensors = pieces.map((piece) => piece[name]!);
        return axisOf(name) < 0 ? tensors.at(-1)! : joinAxis(tensors, axisOf(name));
      };
      return Object.fromEntries(outputs.map((name) => [name, joined(name)]));
    },
    close: () => session.release(),
  };
}

/** Zeros; a state that grows has no rows yet. */
function zeroStates(model: Model, pasts: ReadonlySet<string>, batch: number): Record<string, OrtTensor> {
  const states: Record<string, OrtTensor> = {};
  for (const { name, type, dims } of model.graph.inputs) {
    if (!pasts.has(name)) continue;
    const sizes = dims!.map((size, k) => (k === 0 ? batch : typeof size === "number" ? size : 0));
    states[name] = ortTensor(zeroTensor(type, sizes));
  }
  return states;
}

const ortTensor = ({ type, dims, data }: Tensor): OrtTensor =>
  new OrtTensor(ORT_TYPES[type] as "float32", data as Float32Array, [...dims]);

function ownTensor(value: OrtTensor): Tensor {
  const type = Number(Object.entries(ORT_TYPES).find(([, name]) => name === value.type)![0]);
  return makeTensor(type, value.dims, (value.data as TypedArray).slice());
}

/** Positions `from` to `to` of an axis. */
export function sliceAxis(tensor: Tensor, axis: number, from: number, to: number): Tensor {
  const { type, dims } = tensor;
  const data = tensor.data as Float32Array;
  const inner = elementCount(dims.slice(axis + 1));
  const outer = elementCount(dims.slice(0, axis));
  const row = (to - from) * inner;
  const part = new (data.constructor as Float32ArrayConstructor)(outer * row);
  for (let o = 0; o < outer; o++) {
    const start = (o * dims[axis]! + from) * inner;
    part.set(data.subarray(start, start + row), o * row);
  }
  return makeTensor(type, dims.with(axis, to - from), part);
}

/** Tensors one after the other along an axis. */
export function joinAxis(tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  const total = tensors.reduce((sum, { dims }) => sum + dims[axis]!, 0);
  const inner = elementCount(first!.dims.slice(axis + 1));
  const outer = elementCount(first!.dims.slice(0, axis));
  const joined = new ((first!.data as Float32Array).constructor as Float32ArrayConstructor)(outer * total * inner);
  let at = 0;
  for (const { dims, data } of tensors) {
    const row = dims[axis]! * inner;
    for (let o = 0; o < outer; o++)
      joined.set((data as Float32Array).subarray(o * row, (o + 1) * row), o * total * inner + at);
    at += row;
  }
  return makeTensor(first!.type, first!.dims.with(axis, total), joined);
}

/** Ends of pieces of one position each. */
export const tokenByToken = (length: number): number[] => Array.from({ length }, (_, i) => i + 1);
