/** Which axes of the graph's inputs are batch and time. */
import { LongConvError } from "../../src/errors.ts";
import { BATCH_NAME, TIME_NAME } from "../../src/stateful.ts";
import type { Model, ValueInfo } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import { type Layout, type Sizes, timeAxis } from "./facts/fact.ts";

/** Primes that occur nowhere else stand for a symbolic batch size and length. */
const SYMBOL_SIZES: Sizes = { batch: 1_000_003, time: 1_000_033 };

/** What the graph's inputs say about batch and time. */
export interface InputAxes {
  readonly layouts: ReadonlyMap<string, Layout>;
  readonly sizes: Sizes;
  /** The batch size or the length is a number in the graph. */
  readonly fixed: boolean;
  /** The input from which batch size and length can be read. */
  readonly main: ValueInfo;
}

export interface InputOptions {
  /** Time axis of an input by name, where the default is wrong. */
  readonly timeAxis?: Readonly<Record<string, number>> | undefined;
}

/**
 * Axis 0 is the batch, or axis 1 where its name says so. Time is axis 1 of the first input of rank 2 or more with symbolic axes for both, or for time (token ids
 * [batch, n], signals [batch, n, features]), or the axis that `timeAxis` names; other inputs have time where they have the same symbol,
 * and none where they do not: conditioning.
 * @throws LongConvError unsupported-layout where no input can have time; usage where `timeAxis` names no axis of the model
 */
export function inputAxes(model: Model, options: InputOptions = {}): InputAxes {
  for (const [name, axis] of Object.entries(options.timeAxis ?? {})) refuseUnlessAxis(model, name, axis);
  const ranked = model.graph.inputs.filter((input) => (input.dims?.length ?? 0) >= 2);
  const main =
    model.graph.inputs.find((input) => options.timeAxis?.[input.name] !== undefined) ??
    ranked.find(({ dims }) => dims!.filter(isSymbol).length >= 2) ??
    ranked.find(({ dims }) => dims!.slice(1).some(isSymbol)) ??
    ranked[0];
  if (!main)
    throw new LongConvError(
      "unsupported-layout",
      "no input has a batch and a time axis",
      { file: model.file || undefined },
      "Export the model with an input [batch, sequence, …].",
    );
  for (const { name, dims } of model.graph.inputs)
    if (dims?.includes(0))
      throw new LongConvError(
        "unsupported-layout",
        `input '${name}' is declared with an axis of size 0: [${dims.map((dim) => dim ?? "?").join(", ")}], so there is nothing to run`,
        { file: model.file || undefined, tensor: name },
        "Export the model with a dynamic batch size and length.",
      );
  const time = options.timeAxis?.[main.name] ?? defaultTimeAxis(main);
  const batch = batchAxis(main, time);
  const [batchDim, timeDim] = [main.dims![batch], main.dims![time]];
  const sizes: Sizes = {
    batch: typeof batchDim === "number" ? batchDim : SYMBOL_SIZES.batch,
    time: typeof timeDim === "number" ? timeDim : SYMBOL_SIZES.time,
  };
  if (options.timeAxis?.[main.name] === undefined) refuseWithoutBatch(model, main);
  refuseRates(model, timeDim);
  const layouts = new Map<string, Layout>();
  for (const input of model.graph.inputs) {
    if (!input.dims) throw unknownShape(model, input);
    const named = options.timeAxis?.[input.name] ?? (input === main ? time : undefined);
    layouts.set(input.name, layoutOf(model, input, input.dims, { named, batch, time, batchDim, timeDim }));
  }
  return { layouts, sizes, fixed: typeof timeDim === "number" || typeof batchDim === "number", main };
}

const isSymbol = (size: unknown): boolean => typeof size !== "number";

function refuseUnlessAxis({ file, graph: { inputs } }: Model, name: string, axis: number): void {
  const dims = inputs.find((input) => input.name === name)?.dims;
  const named = inputs.map((input) => `'${input.name}' [${input.dims?.map((d) => d ?? "?").join(", ") ?? "?"}]`);
  if (dims && Number.isInteger(axis) && axis >= 0 && axis < dims.length) return;
  const reason = dims ? `has no axis ${axis}: it has ${dims.length}, counted from 0` : "is not an input with a shape";
  throw new LongConvError(
    "usage",
    `time axis ${name}=${axis}: '${name}' ${reason}`,
    { file: file || undefined },
    `The model's inputs are ${named.join(", ")}.`,
  );
}

/** Signals [n, features]: the axes that are taken for batch and time would be time and features. */
function refuseWithoutBatch({ file }: Model, { name, dims, type }: ValueInfo): void {
  const [first, second] = dims ?? [];
  const isTime = typeof first === "string" && TIME_NAME.test(first) && !BATCH_NAME.test(first);
  if (dims?.length !== 2 || !isTime || typeof second !== "number" || type !== DataType.FLOAT) return;
  throw new LongConvError(
    "unsupported-layout",
    `input '${name}' [${dims.join(", ")}] has no batch axis: time is axis 0, and ${second} features stand on axis 1`,
    { file: file || undefined, tensor: name },
    `Export the model with an input [batch, ${first}, ${second}].`,
  );
}

/** A length that is a multiple of another input's, as exporters write it: 4*n. */
const MULTIPLE = /^(\d+)\s*\*\s*(\w+)$/;

/** @throws LongConvError mixes-time where an input has several positions for each of another one's */
function refuseRates({ file, graph: { inputs } }: Model, timeDim: unknown): void {
  const symbols = new Map(inputs.flatMap(({ name, dims = [] }) => dims.map((d): [unknown, string] => [d, name])));
  for (const { name, dims = [] } of inputs)
    for (const size of dims) {
      const [, by, symbol] = (typeof size === "string" && MULTIPLE.exec(size)) || [];
      const other = symbol === undefined ? undefined : symbols.get(symbol);
      if (other === undefined || (size !== timeDim && symbol !== timeDim)) continue;
      throw new LongConvError(
        "mixes-time",
        `inputs run at different rates: '${name}' has ${by} positions for each of '${other}'`,
        { file: file || undefined, tensor: name },
        "Inputs at different rates are not carried: repeat the slower one before the model, or convert the parts apart.",
      );
    }
}

/**
 * Axis 1, or the last of three where only that one is symbolic: [batch, features, n]; axis 0 where axis 1 is called after the
 * batch: [n, batch, features].
 */
function defaultTimeAxis(main: ValueInfo): number {
  const dims = main.dims!;
  const isBatch = (k: number) => typeof dims[k] === "string" && BATCH_NAME.test(dims[k]);
  if (typeof dims[0] === "string" && isBatch(1) && !isBatch(0)) return 0;
  const symbolic = dims.flatMap((d, k) => (k > 0 && typeof d !== "number" ? [k] : []));
  return symbolic.length === 1 ? symbolic[0]! : 1;
}

/** Why an axis of the main input is time, where no name says it; undefined where one does. */
export function whyTime({ main, layouts }: InputAxes, runsAlong: boolean): string | undefined {
  const dims = main.dims!;
  const time = timeAxis(layouts.get(main.name)!);
  const dim = dims[time];
  if (typeof dim === "string" && TIME_NAME.test(dim)) return undefined;
  const open = dims.flatMap((size, axis) => (typeof size === "number" ? [] : [axis]));
  const axis = `axis ${time} of '${main.name}'`;
  if (!open.includes(time))
    return `${axis} is taken for time, as is usual${runsAlong ? ", and all of it runs along it" : ""}`;
  if (open.length === 1) return `${axis} is time: no other is open`;
  if (time === 0) return `${axis} is time: axis 1 is called after the batch`;
  return `${axis} is time: it is the only open one behind the batch`;
}

/** Axis 0, or axis 1 where time comes first. */
const batchAxis = (main: ValueInfo, time: number): number => (time === 0 && main.dims!.length > 1 ? 1 : 0);

interface Axes {
  /** The time axis that is given for the input, or known. */
  readonly named: number | undefined;
  /** Axes of the main input, and their dimensions. */
  readonly batch: number;
  readonly time: number;
  readonly batchDim: unknown;
  readonly timeDim: unknown;
}

function layoutOf(
  model: Model,
  input: ValueInfo,
  dims: NonNullable<ValueInfo["dims"]>,
  { named, batch, time, batchDim, timeDim }: Axes,
): Layout {
  // an input without a batch has its other axes in their order
  const own = dims.length > Math.min(batch, 1) ? batch : 0;
  return dims.map((d, k) => {
    if (k === named) return ["time"];
    if (k === own && d === batchDim) return ["batch"];
    if (typeof d === "number") return d === 1 ? [] : [d];
    if (d !== undefined && d === timeDim && named === undefined) return ["time"];
    // initial states [layers, batch, hidden] have the batch's symbol elsewhere
    if (k === own || (d !== undefined && d === batchDim && !dims.slice(0, k).includes(d))) return ["batch"];
    // a symbol of its own in the place of time is taken for the same length: streams that are read together
    if (k === time && named === undefined) return ["time"];
    throw new LongConvError(
      "unsupported-layout",
      `axis ${k} of input '${input.name}' is neither batch nor time and has no fixed size`,
      { file: model.file || undefined, tensor: input.name },
      "Export the model with this axis fixed.",
    );
  });
}

const unknownShape = (model: Model, input: ValueInfo): LongConvError =>
  new LongConvError(
    "unsupported-layout",
    "the input has no shape",
    { file: model.file || undefined, tensor: input.name },
    "Export the model with the shapes of its inputs.",
  );
