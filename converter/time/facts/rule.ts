/** What a rule of an operator gets and answers. */
import type { ErrorCode } from "../../../src/errors.ts";
import type { Attributes } from "../../graph/graph.ts";
import type { Tensor } from "../../graph/tensor.ts";
import type { Dim } from "./dim.ts";
import { dim } from "./dim.ts";
import { channelCount, type Fact, type Layout, type Sizes, timeCount } from "./fact.ts";

/** An input of a node: what time is to it, and its values where they are constant. */
export interface Operand {
  readonly name: string;
  readonly fact: Fact;
  /** Values of a constant. */
  constant(): Tensor | undefined;
}

/** What holds for the whole graph. */
export interface Context {
  readonly opset: number;
  /** Sizes that stand for the symbols: the declared ones of a graph with fixed shapes, else large primes. */
  readonly sizes: Sizes;
  /** Batch and length are numbers in the graph: constants may contain them. */
  readonly fixed: boolean;
  /** onnx.TensorProto.DataType of a tensor, where it is known. */
  readonly typeOf: (tensor: string) => number | undefined;
  /** Rules of operators that kinds of state bring along, by domain and name. */
  readonly brought?: Readonly<Record<string, Rule>> | undefined;
}

/** The answer of a rule. */
export type Verdict =
  /** Pointwise along time: the facts of the outputs. */
  | { readonly outputs: readonly Fact[] }
  /** Mixes positions of the stream that is input `input`: a long convolution may begin here. */
  | { readonly mixes: string; readonly input: number }
  /** Cannot run token by token. */
  | { readonly refuses: ErrorCode; readonly reason: string; readonly remedy?: string | undefined };

/**
 * A rule: inputs by role (an optional input that is left out is undefined), attributes with their ONNX defaults.
 * It is asked when at least one input is a stream, still data or a function of the position with known axes;
 * none of the inputs is open.
 */
export type Rule = (
  inputs: readonly (Operand | undefined)[],
  attributes: Attributes,
  context: Context,
  outputs: number,
) => Verdict;

/** Operators of a kind: the sentences that say when they are pointwise along time, and the rule of each. */
export interface Family {
  readonly title: string;
  /** Completes "pointwise along time …". */
  readonly pointwise: string;
  /** What happens where they are not. */
  readonly otherwise: string;
  /** By operator, with its domain where it is not the standard one: "com.microsoft::FusedMatMul". */
  readonly rules: Readonly<Record<string, Rule>>;
}

export const mixes = (reason: string, input = 0): Verdict => ({ mixes: reason, input });

export const refuses = (code: ErrorCode, reason: string, remedy?: string): Verdict => ({
  refuses: code,
  reason,
  remedy,
});

/** Axes of an operand that has any. */
export function axesOf(operand: Operand): Layout | undefined {
  return operand.fact.kind === "shape" || operand.fact.kind === "open" ? undefined : operand.fact.axes;
}

const STRENGTH = { constant: 0, position: 1, still: 2, stream: 3, last: 4 } as const;

/**
 * The fact of an output that depends on these operands and has these axes: the strongest kind among them. Data whose
 * time axis comes from the position only is a stream as well. Undefined for data with two axes of time or of batch.
 */
export function joined(operands: readonly (Operand | undefined)[], axes: Layout): Verdict {
  return seesLast(operands, axes) ?? verdict(joinedFact(operands, axes), axes);
}

/** The last position's data must not reach the others. */
function seesLast(operands: readonly (Operand | undefined)[], axes: Layout): Verdict | undefined {
  if (timeCount(axes) === 0 || !operands.some((operand) => operand?.fact.kind === "last")) return undefined;
  return refuses("not-causal", "lets every position see the last one");
}

export function joinedFact(operands: readonly (Operand | undefined)[], axes: Layout): Fact | undefined {
  let kind: keyof typeof STRENGTH = "constant";
  for (const operand of operands) {
    if (!operand) continue;
    const other = operand.fact.kind;
    if (other === "shape" || other === "open") continue;
    if (STRENGTH[other] > STRENGTH[kind]) kind = other;
  }
  const times = timeCount(axes);
  const batches = axes.flat().filter((factor) => factor === "batch").length;
  // without a time axis it depends on neither position nor length (zeros for every batch, say)
  if (kind === "position") return { kind, axes: times <= 1 && batches <= 1 ? axes : undefined };
  if (times > 1 || batches > 1) return undefined;
  if (kind === "last") return times === 0 ? { kind, axes } : undefined;
  if (kind === "still" || kind === "stream") return { kind: times === 1 ? "stream" : "still", axes };
  return times === 0 ? { kind: "constant", axes } : { kind: "position", axes };
}

/** The facts of several outputs that depend on these operands, or a refusal. */
export function allOutputs(operands: readonly (Operand | undefined)[], layouts: readonly Layout[]): Verdict {
  const outputs: Fact[] = [];
  for (const axes of layouts) {
    const seen = seesLast(operands, axes);
    if (seen) return seen;
    const fact = joinedFact(operands, axes);
    if (!fact) return verdict(fact, axes);
    outputs.push(fact);
  }
  return { outputs };
}

/** How reasons begin that others tell apart: what stands behind them is their own. */
export const COMBINES_POSITIONS = "combines every position with every other one";
export const SUMS_OVER_TIME = "sums over the time axis";
export const OTHER_RATE = "runs at another rate";

function verdict(fact: Fact | undefined, axes: Layout): Verdict {
  if (fact) return { outputs: [fact] };
  if (timeCount(axes) < 2) return refuses("mixes-batch", "combines every sequence of the batch with every other one");
  return mixes(`${COMBINES_POSITIONS}, which takes the whole sequence at each step`);
}

/** A constant of more values is no shape, axis or place, but a table: it is not read. */
const MOST_INTEGERS = 64;

/** Values of an integer operand: a constant or something made of shapes. */
export function integers(operand: Operand | undefined): readonly Dim[] | undefined {
  if (!operand) return undefined;
  if (operand.fact.kind === "shape") return operand.fact.values;
  if (operand.fact.kind !== "constant" || channelCount(operand.fact.axes) > MOST_INTEGERS) return undefined;
  const tensor = operand.constant();
  return tensor && Array.from(tensor.data as ArrayLike<number | bigint>, (value) => dim(Number(value)));
}

/** Values of an operand that is a constant of numbers. */
export function numbers(operand: Operand | undefined): readonly number[] | undefined {
  const tensor = operand?.constant();
  return tensor && Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}
