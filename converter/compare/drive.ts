/** Drives a converted model in the check: whole sequences, or cut into pieces with the state carried. */
import { ATTENTION_MASK } from "../../src/contract.ts";
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { idsAs } from "../graph/integers.ts";
import { joinRows } from "../graph/join.ts";
import { int64Tensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { carried } from "../ort/carried.ts";
import type { Runner } from "../ort/run.ts";
import type { Graphs } from "../parts/graphs.ts";
import { axisOf, type Layout, timeAxis } from "../time/facts/fact.ts";
import { paddingOf } from "./padding.ts";

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

/** Rows that the export gives of an output with a time axis for a sequence of so many positions. */
export function exportedRows({ lacking }: Pick<Found, "lacking">, output: string, positions: number): number {
  const { front = 0, behind = 0 } = lacking.get(output) ?? {};
  return Math.max(0, positions - front - behind);
}

/** What a converted model gives, without the rows in front that the export lacks. */
export const asExported = ({ lacking }: Pick<Found, "lacking">, trace: Trace): Trace =>
  lacking.size === 0 ? trace : new Map([...trace].map(([name, rows]) => [name, rows.slice(lacking.get(name)?.front)]));

/** Positions of a tensor from `from` on, before `to`, and its own first `padding` before them; all of one without time. */
function cut(tensor: Tensor, axes: Layout, from: number, to: number, padding: number): Tensor {
  const axis = timeAxis(axes);
  if (axis < 0) return tensor;
  return joinRows(
    [
      { tensor, from: 0, to: padding },
      { tensor, from, to },
    ],
    axis,
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
  const declared = new Map(converted.graph.inputs.map(({ name, type }) => [name, type]));
  const pieces = carried(converted.graph, runner, batch, keep);
  const trace = new Map<string, Row[]>();
  let from = 0;
  for (const to of cuts) {
    const piece: Record<string, Tensor> = {};
    // what the converted model makes itself is no input of it
    for (const [name, tensor] of Object.entries(feeds).filter(([name]) => declared.has(name)))
      piece[name] = idsAs(
        declared.get(name),
        cut(tensor, graphs.inputs.layouts.get(name)!, from, to, from === 0 ? padding : 0),
      );
    if (declared.has(ATTENTION_MASK)) {
      const hidden = (row: number) => padding + paddingOf(graphs, row, cuts.at(-1)!);
      const seen = Array.from({ length: batch * (padding + to) }, (_, i) => {
        const [row, at] = [Math.floor(i / (padding + to)), i % (padding + to)];
        return at < hidden(row) ? 0 : 1;
      });
      piece[ATTENTION_MASK] = int64Tensor([batch, padding + to], seen);
    }
    const outputs = await pieces.next(from === 0 ? padding + to : to - from, piece);
    for (const [name, axes] of outputAxes) {
      const all = byPosition(outputs[name]!, axes);
      const rows = from === 0 && timeAxis(axes) >= 0 ? all.slice(padding) : all;
      // an output without a time axis is that of the last position
      const before = trace.get(name);
      if (!before || timeAxis(axes) < 0) trace.set(name, rows);
      else before.push(...rows);
    }
    from = to;
  }
  return trace;
}

/** The outputs without those of padding. */
export function withoutPadding(graphs: Graphs, trace: Trace, axes: ReadonlyMap<string, Layout>, batch: number): Trace {
  if (graphs.driven.mask === undefined) return trace;
  return new Map(
    [...trace].map(([name, rows]) => {
      const layout = axes.get(name)!;
      if (timeAxis(layout) < 0 || axisOf(layout, "batch") !== 0) return [name, rows];
      const shown = rows.map((row, i) => {
        const size = row.length / batch;
        return row.map((value, k) => (i < paddingOf(graphs, Math.floor(k / size), rows.length) ? 0 : value));
      });
      return [name, shown];
    }),
  );
}
