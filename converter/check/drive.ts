/** Drives a converted model in the check: whole sequences, or cut into pieces with the state carried. */
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP, pairStates } from "../../src/contract.ts";
import type { Found } from "../find/find.ts";
import type { Graphs } from "../find/graphs.ts";
import type { Model } from "../onnx/graph.ts";
import type { Runner } from "../onnx/run.ts";
import { DataType, float32Tensor, int64Tensor, makeTensor, type Tensor, toNumbers } from "../onnx/tensor.ts";
import { type Layout, timeAxis } from "../time/fact.ts";

/** One position of an output. */
export type Row = Float32Array | Float64Array;

/** Outputs of a run with the time axis first: [time][rest]; float32 outputs are not copied where that can be avoided. */
export type Trace = ReadonlyMap<string, readonly Row[]>;

/** The layouts of a model's outputs by name; without axes where none is known. */
export function outputLayouts({ graphs, time }: Pick<Found, "graphs" | "time">): Map<string, Layout> {
  return new Map(
    graphs.model.graph.outputs.map(({ name }): [string, Layout] => {
      const fact = time.facts.get(name);
      return [name, fact && "axes" in fact && fact.axes ? fact.axes : []];
    }),
  );
}

/** Cuts a tensor along its time axis. */
export function slice(tensor: Tensor, axes: Layout, from: number, to: number): Tensor {
  const axis = timeAxis(axes);
  if (axis < 0) return tensor;
  const { dims, data } = tensor;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const length = dims[axis]!;
  const source = data as Float32Array;
  const result = new (source.constructor as Float32ArrayConstructor)(outer * (to - from) * inner);
  for (let o = 0; o < outer; o++)
    result.set(source.subarray((o * length + from) * inner, (o * length + to) * inner), o * (to - from) * inner);
  return makeTensor(
    tensor.type,
    dims.map((size, k) => (k === axis ? to - from : size)),
    result,
  );
}

/** The same with its own first positions before it, `padding` of them, where it has a time axis. */
function padded(tensor: Tensor, axes: Layout, from: number, to: number, padding: number): Tensor {
  const cut = slice(tensor, axes, from, to);
  const axis = timeAxis(axes);
  if (padding === 0 || axis < 0) return cut;
  const places = Array.from({ length: padding + to - from }, (_, i) => (i < padding ? i : from + i - padding));
  const pieces = places.map((at) => slice(tensor, axes, at, at + 1));
  return stackAlong(pieces, axis);
}

/** Tensors of one position each, along the time axis. */
function stackAlong(pieces: readonly Tensor[], axis: number): Tensor {
  const { type, dims, data } = pieces[0]!;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const result = new ((data as Float32Array).constructor as Float32ArrayConstructor)(outer * pieces.length * inner);
  for (const [i, piece] of pieces.entries())
    for (let o = 0; o < outer; o++)
      result.set((piece.data as Float32Array).subarray(o * inner, (o + 1) * inner), (o * pieces.length + i) * inner);
  return makeTensor(
    type,
    dims.map((size, k) => (k === axis ? pieces.length : size)),
    result,
  );
}

/** One row a position, for an output with a time axis; one row for an output without. */
export function byPosition(tensor: Tensor, axes: Layout): Row[] {
  const axis = timeAxis(axes);
  const values = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
  if (axis < 0) return [values];
  const inner = tensor.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = tensor.dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const length = tensor.dims[axis]!;
  return Array.from({ length }, (_, i) => {
    if (outer === 1) return values.subarray(i * inner, (i + 1) * inner);
    const row = new (values.constructor as Float32ArrayConstructor)(outer * inner);
    for (let o = 0; o < outer; o++)
      row.set(values.subarray((o * length + i) * inner, (o * length + i + 1) * inner), o * inner);
    return row;
  });
}

/**
 * Runs a converted model over inputs cut at the given places, states carried from piece to piece.
 * @param cuts ascending ends of the pieces; the last is the length
 * @param keep positions of each piece whose logits are asked for; 0: all
 * @param padding positions before the first that the mask hides: copies of the first ones, which leave no trace
 */
export async function drive(
  converted: Model,
  runner: Runner,
  graphs: Graphs,
  outputAxes: ReadonlyMap<string, Layout>,
  feeds: Readonly<Record<string, Tensor>>,
  cuts: readonly number[],
  batch: number,
  keep = 0,
  padding = 0,
): Promise<Trace> {
  const pairs = pairStates(runner.inputs, runner.outputs);
  const declared = new Map(converted.graph.inputs.map((input) => [input.name, input]));
  let states: Record<string, Tensor> = {};
  for (const { past } of pairs) {
    const dims = declared.get(past)!.dims!.map((size, k) => (k === 0 ? batch : Number(size)));
    states[past] = float32Tensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));
  }
  const trace = new Map<string, Row[]>();
  let from = 0;
  for (const to of cuts) {
    const piece: Record<string, Tensor> = { ...states };
    for (const [name, tensor] of Object.entries(feeds))
      piece[name] = padded(tensor, graphs.inputs.layouts.get(name)!, from, to, from === 0 ? padding : 0);
    if (declared.has(ATTENTION_MASK)) {
      const seen = Array.from({ length: batch * (padding + to) }, (_, i) => (i % (padding + to) < padding ? 0 : 1));
      piece[ATTENTION_MASK] = int64Tensor([batch, padding + to], seen);
    }
    if (declared.has(NUM_LOGITS_TO_KEEP))
      piece[NUM_LOGITS_TO_KEEP] = makeTensor(DataType.INT64, [], BigInt64Array.of(BigInt(keep)));
    const outputs = await runner.run(piece);
    for (const [name, axes] of outputAxes) {
      const all = byPosition(outputs[name]!, axes);
      const rows = from === 0 && timeAxis(axes) >= 0 ? all.slice(padding) : all;
      // an output without a time axis is that of the last position
      const before = trace.get(name);
      if (!before || timeAxis(axes) < 0) trace.set(name, rows);
      else before.push(...rows);
    }
    states = Object.fromEntries(pairs.map(({ past, present }) => [past, outputs[present]!]));
    from = to;
  }
  return trace;
}
