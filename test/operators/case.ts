/** One row for an operator: a graph of one node, what time is to its inputs, and what it must be to its outputs. */

import type { AttributeInput } from "../../converter/graph/attributes.ts";
import { createBuilder, makeModel } from "../../converter/graph/build.ts";
import type { Model, ValueInfo } from "../../converter/graph/graph.ts";
import {
  boolTensor,
  DataType,
  float32Tensor,
  int64Tensor,
  makeTensor,
  type Tensor,
} from "../../converter/graph/tensor.ts";
import {
  type Axis,
  axisOf,
  axisSize,
  describeLayout,
  type Fact,
  type Factor,
  type Layout,
  type Sizes,
} from "../../converter/time/facts/fact.ts";
import { foldConstants } from "../../converter/time/fold.ts";
import { type Closed, followTime, type TimeFacts } from "../../converter/time/follow.ts";
import type { ErrorCode } from "../../src/errors.ts";

/**
 * A graph input: a layout ("b t 4": batch, time, 4 channels; "bt 4": both in one axis; "1": an axis of size 1; "":
 * a scalar), after a type and a colon where it is not float32 ("bool: b t", "7: b t" for int64 below 7).
 * A tensor is a constant. "shape" is the sequence length, read off the first input. undefined is left out.
 */
export type CaseInput = string | Tensor | undefined;

/** What must come out. */
export type Expected =
  /** Layout of the first output, or of all outputs. */
  | string
  | readonly string[]
  /** A convolution may begin here. */
  | { readonly mixes: RegExp }
  | { readonly refuses: ErrorCode }
  /** A function of the position, with this layout if one is given. */
  | { readonly position: string | undefined };

export interface OperatorCase {
  /** With its domain where it is not the standard one: "com.microsoft::QuickGelu". */
  readonly op: string;
  readonly inputs: readonly CaseInput[];
  readonly expected: Expected;
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  /** Default 18. */
  readonly opset?: number;
  /** Default 1. */
  readonly outputs?: number;
  /** Values of float inputs; default 0.3 to 0.9. */
  readonly range?: readonly [number, number];
  /** Sizes of an export with fixed shapes. */
  readonly fixed?: Sizes;
  /** Why ONNX Runtime's CPU does not run it. */
  readonly notRun?: string;
  /** The output does not depend on the values. */
  readonly insensitive?: boolean;
}

type Options = Omit<OperatorCase, "op" | "inputs" | "expected">;

export const row = (
  op: string,
  inputs: readonly CaseInput[],
  expected: Expected,
  options: Options = {},
): OperatorCase => ({
  op,
  inputs,
  expected,
  ...options,
});

/** Several operators with the same row. */
export const rows = (ops: string, inputs: readonly CaseInput[], expected: Expected, options: Options = {}) =>
  ops.split(" ").map((op) => row(op, inputs, expected, options));

/** A float32 constant of varied values. */
export const floats = (...dims: number[]): Tensor => {
  const size = dims.reduce((a, b) => a * b, 1);
  return float32Tensor(
    dims,
    Float32Array.from({ length: size }, (_, i) => 0.3 + 0.6 * ((i * 0.618033988) % 1)),
  );
};

/** An int64 constant of rank 1. */
export const ints = (...values: number[]): Tensor => int64Tensor([values.length], values);

/** An int64 scalar. */
export const int = (value: number): Tensor => int64Tensor([], [value]);

export const bools = (...values: boolean[]): Tensor => boolTensor([values.length], values);

/** A uint8 or int8 constant of varied values. */
export const bytes = (type: "uint8" | "int8", ...dims: number[]): Tensor => {
  const size = dims.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size }, (_, i) => (i * 37) % 100);
  return type === "uint8"
    ? makeTensor(DataType.UINT8, dims, Uint8Array.from(values))
    : makeTensor(DataType.INT8, dims, Int8Array.from(values));
};

export const floatScalar = (value: number): Tensor => float32Tensor([], [value]);

const TYPES: Readonly<Record<string, number>> = {
  bool: DataType.BOOL,
  uint8: DataType.UINT8,
  int8: DataType.INT8,
  double: DataType.DOUBLE,
  uint32: DataType.UINT32,
};

/** A graph input of a case: its layout, its type, and below which number its integers are. */
export interface ParsedInput {
  readonly axes: Layout;
  readonly type: number;
  readonly below: number;
}

export function parseInput(text: string): ParsedInput {
  const [before, after] = text.includes(":") ? text.split(":") : [undefined, text];
  const below = before === undefined ? 0 : Number(before);
  const integer = Number.isInteger(below) && below > 0;
  const type = before === undefined ? DataType.FLOAT : integer ? DataType.INT64 : TYPES[before]!;
  return { axes: parseLayout(after!), type, below: integer ? below : 100 };
}

const FACTORS: Readonly<Record<string, Factor>> = { b: "batch", t: "time" };

export function parseLayout(text: string): Layout {
  const axes = text.trim().split(" ").filter(Boolean);
  return axes.map((axis): Axis => {
    const factors = [...axis.matchAll(/b|t|\d+/g)].map(([factor]) => FACTORS[factor] ?? Number(factor));
    return factors.length === 1 && factors[0] === 1 ? [] : factors;
  });
}

export interface CaseModel {
  readonly model: Model;
  /** Graph inputs by name. */
  readonly inputs: ReadonlyMap<string, ParsedInput>;
  readonly outputs: readonly string[];
}

/** The graph of one node. */
export function modelOf({ op, inputs, attributes, opset = 18, outputs = 1, fixed }: OperatorCase): CaseModel {
  const b = createBuilder(opset);
  const parsed = new Map<string, ParsedInput>();
  const names = inputs.map((input, i) => {
    if (input === undefined) return "";
    if (input === "shape") {
      const [first] = [...parsed];
      const axis = axisOf(first![1].axes, "time");
      return b.one("Shape", [first![0]], { start: axis, end: axis + 1 }, { hint: "length" });
    }
    if (typeof input !== "string") return b.constant(`constant${i}`, input);
    const name = b.name(`input${i}`);
    parsed.set(name, parseInput(input));
    return name;
  });
  const [domain, type] = op.includes("::") ? (op.split("::") as [string, string]) : ["", op];
  const made = b.add(type, names, attributes, { outputs, ...(domain && { domain }) });
  const dimsOf = (axes: Layout) =>
    axes.map((axis) => {
      const symbols = axis.filter((factor) => typeof factor !== "number");
      if (fixed) return axis.reduce<number>((n, f) => n * axisSize([f], fixed), 1);
      return symbols.length ? axis.join("_") : axis.reduce<number>((n, f) => n * Number(f), 1);
    });
  const model = makeModel({
    inputs: [...parsed].map(([name, { type, axes }]): ValueInfo => ({ name, type, dims: dimsOf(axes) })),
    // ORT infers the types of the outputs
    outputs: made.map((name): ValueInfo => ({ name, type: 0, dims: undefined })),
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: new Map([["", opset], ...(domain ? ([[domain, 1]] as const) : [])]),
  });
  return { model, inputs: parsed, outputs: made };
}

/** Follows time through the graph of a case. */
export async function followCase(each: OperatorCase, { model, inputs }: CaseModel): Promise<TimeFacts> {
  const sizes = each.fixed ?? { batch: 1_000_003, time: 1_000_033 };
  const layouts = new Map([...inputs].map(([name, { axes }]) => [name, axes]));
  const main = model.graph.inputs[0]!;
  const closed: Closed[] = [];
  const constants = await foldConstants(model);
  return followTime(model, { layouts, sizes, fixed: each.fixed !== undefined, main }, constants, closed);
}

/** "stream [batch, time, 4]" */
export function describeFact(fact: Fact | undefined): string {
  if (!fact) return "nothing";
  if (fact.kind === "shape" || fact.kind === "open") return fact.kind;
  return `${fact.kind} ${fact.axes ? describeLayout(fact.axes) : "of any kind"}`;
}
