/** The last rows of a stream, carried: the stream with its past in front, and the state that goes on. */
import { BATCH_SIZE, pastConv, presentConv } from "../../../src/contract.ts";
import { LongConvError } from "../../../src/errors.ts";
import type { Place, StatePorts } from "../../find/carried.ts";
import { begunWith } from "../../find/start.ts";
import { type Builder, fromFloat } from "../../graph/build.ts";
import { DataType, float32Tensor } from "../../graph/tensor.ts";
import type { SymbolNames } from "../../parts/layout.ts";
import { fromCanonical, shapeOperand, toCanonical } from "../../parts/layout.ts";
import { axisSize, channelCount, type Layout, timeAxis } from "../../time/facts/fact.ts";
import type { History } from "./history.ts";

/** A stream whose last rows are carried. */
export interface Carry {
  readonly tensor: string;
  readonly axes: Layout;
  readonly rows: number;
  readonly history: History;
  /** The state has two dimensions behind the batch, as drivers of language models have them. */
  readonly flat?: true;
}

/** With its onnx.TensorProto.DataType in the exported graph. */
interface Typed extends Carry {
  readonly type: number;
}

const END = 2 ** 53 - 1;
const HALVES = new Set<number>([DataType.FLOAT16, DataType.BFLOAT16]);

/** The mask with axes of size 1 where the layout has channels. */
export function maskFor(b: Builder, layout: Layout, symbols: SymbolNames, mask: string): string {
  if (layout.length === 3 && timeAxis(layout) === 1) return mask;
  const apart: Layout = layout.map((axis) => (axis.some((f) => typeof f !== "number") ? axis : []));
  const from: Layout = [["batch"], ["time"], []];
  return b.one("Reshape", [mask, shapeOperand(b, apart, symbols, from)], {}, { hint: "mask" });
}

/** States have the batch in front; other layouts are carried as [batch, rows, channels]. */
export const stateLayout = (axes: Layout): Layout =>
  axes[0]!.join() === "batch" && axes.every((axis) => axis.length < 2 || axis.every((f) => typeof f === "number"))
    ? axes
    : [["batch"], ["time"], [channelCount(axes)]];

/** Dimensions of the state behind the batch. */
export function stateDims(carry: Carry): number[] {
  const dims = rowDims(carry);
  return carry.flat ? [dims.slice(0, -1).reduce((a, b) => a * b, 1), dims.at(-1)!] : dims;
}

/** Dimensions of the carried rows behind the batch, in the layout of the state. */
const rowDims = ({ axes, rows }: Carry): number[] =>
  stateLayout(axes)
    .slice(1)
    .map((axis) => axisSize(axis, { batch: 1, time: rows }));

/** Adds the stream with its past in front: T + rows positions in the stream's layout; `present` is what goes on. */
export function carried(b: Builder, carry: Carry, place: Place): { stream: string; ports: StatePorts } {
  const { index, symbols, mask, typeOf } = place;
  const { axes, rows } = carry;
  const type = typeOf(carry.tensor);
  if (type === DataType.BOOL) return carriedTruth(b, carry, place);
  const layout = stateLayout(axes);
  const native = layout === axes;
  const axis = timeAxis(layout);
  const stateType = HALVES.has(type) ? DataType.FLOAT : type;
  const info = (name: string) => ({ name, type: stateType, dims: [BATCH_SIZE, ...stateDims(carry)] });
  const ports = { past: info(pastConv(index)), present: info(presentConv(index)) };
  const own = native ? carry.tensor : toCanonical(b, carry.tensor, axes, symbols);
  const x = mask === undefined ? own : hidden(b, { ...carry, type }, own, layout, { symbols, mask });
  const cast = (tensor: string, to: number) =>
    stateType === type ? tensor : b.one("Cast", [tensor], { to }, { hint: "rows" });
  const shaped = (tensor: string, dims: readonly number[], outputs?: readonly string[]) =>
    b.one("Reshape", [tensor, b.ints("rows", [0, ...dims])], {}, { hint: "rows", ...(outputs && { outputs }) });
  const before = carry.flat ? shaped(ports.past.name, rowDims(carry)) : ports.past.name;
  const past = begun(b, { ...carry, type }, cast(before, type), x, layout, place);
  const window = b.one("Concat", [past, x], { axis }, { hint: "window" });
  const last = [b.ints("from", [-rows]), b.ints("to", [END]), b.ints("axis", [axis])];
  const outputs = [ports.present.name];
  if (carry.flat) shaped(cast(b.one("Slice", [window, ...last]), stateType), stateDims(carry), outputs);
  else if (stateType === type) b.one("Slice", [window, ...last], {}, { outputs });
  else b.one("Cast", [b.one("Slice", [window, ...last])], { to: stateType }, { outputs });
  if (native) return { stream: window, ports };
  const stream = b.name("window");
  fromCanonical(b, window, axes, longer(b, symbols, rows), stream);
  return { stream, ports };
}

/** Truth values are carried as 0 and 1. */
function carriedTruth(b: Builder, carry: Carry, place: Place): ReturnType<typeof carried> {
  const tensor = b.one("Cast", [carry.tensor], { to: DataType.FLOAT }, { hint: "rows" });
  const { stream, ports } = carried(b, { ...carry, tensor }, { ...place, typeOf: () => DataType.FLOAT });
  return { stream: b.one("Cast", [stream], { to: DataType.BOOL }, { hint: "rows" }), ports };
}

/** The symbols of a sequence of so many positions more. */
const longer = (b: Builder, symbols: SymbolNames, rows: number): SymbolNames => ({
  batch: symbols.batch,
  time: () => b.one("Add", [symbols.time(), b.ints("rows", [rows])], {}, { hint: "length" }),
});

/** The state; where nothing was read before, what the graph has before the first position. */
function begun(b: Builder, carry: Typed, past: string, x: string, layout: Layout, place: Place): string {
  const { history, rows } = carry;
  if (history.kind === "zeros") return past;
  const cut = [b.ints("from", [0]), b.ints("to", [1]), b.ints("axis", [timeAxis(layout)])];
  const first =
    history.kind === "first"
      ? b.one("Slice", [x, ...cut], {}, { hint: "first" })
      : typed(b, rowsTensor(b, layout, rows, history.rows), carry.type);
  return begunWith(
    b,
    place,
    first,
    past,
    layout.map((_, k) => (k === 0 ? -1 : 1)),
  );
}

/** [1, …rows at the time axis…] float32. */
function rowsTensor(b: Builder, layout: Layout, rows: number, values: readonly Float64Array[]): string {
  const axis = timeAxis(layout);
  const dims = layout.map((own, k) => (k === 0 ? 1 : axisSize(own, { batch: 1, time: rows })));
  const inner = dims.slice(axis + 1).reduce((a, c) => a * c, 1);
  const outer = dims.slice(0, axis).reduce((a, c) => a * c, 1);
  const data = new Float32Array(outer * rows * inner);
  for (let o = 0; o < outer; o++)
    for (let r = 0; r < rows; r++)
      for (let i = 0; i < inner; i++) data[(o * rows + r) * inner + i] = values[r]![o * inner + i]!;
  return b.constant("history", float32Tensor(dims, data));
}

const typed = (b: Builder, tensor: string, type: number): string => fromFloat(b, tensor, type, "history");

/** Positions of padding become what stands before the first. */
function hidden(
  b: Builder,
  { type, history }: Typed,
  x: string,
  layout: Layout,
  { symbols, mask }: { readonly symbols: SymbolNames; readonly mask: string },
): string {
  if (
    history.kind === "first" ||
    (history.kind === "rows" && history.rows.some((row) => row.some((v, i) => v !== history.rows[0]![i])))
  )
    throw new LongConvError(
      "unsupported-layout",
      "what stands before the first position differs from position to position, so padding of a batch cannot be hidden by attention_mask",
      {},
      "Convert without attention_mask.",
    );
  const shaped = maskFor(b, layout, symbols, mask);
  const shown = b.one("Cast", [shaped], { to: DataType.BOOL }, { hint: "shown" });
  const row = history.kind === "rows" ? rowsTensor(b, layout, 1, history.rows.slice(0, 1)) : b.floats("zero", [1], [0]);
  return b.one("Where", [shown, x, typed(b, row, type)], {}, { hint: "masked" });
}
