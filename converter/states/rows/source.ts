/** What the rows before the first position of a stream are made of, by the nodes that put them there. */
import type { Known } from "../../find/carried.ts";
import type { Node } from "../../graph/graph.ts";
import { toNumbers } from "../../graph/tensor.ts";
import { offsetOf } from "../../time/offset.ts";

export type Source =
  | "zeros"
  /** The same numbers for every input. */
  | "constants"
  /** The first position, repeated. */
  | "first"
  /** An input without a time axis. */
  | "given"
  | "data";

/** Operators that make zeros of zeros, whatever constants they read beside them, and sums. */
const KEEPS_ZERO = new Set([
  ...[
    "Pad",
    "Mul",
    "Neg",
    "Abs",
    "Sqrt",
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Gelu",
    "Tanh",
    "Sin",
    "Sign",
    "Identity",
  ],
  ...["Cast", "Transpose", "Reshape", "Flatten", "Unsqueeze", "Squeeze", "Slice", "Split", "Expand"],
]);
const SUMS = new Set(["Add", "Sub", "Sum"]);

/** Of what the rows are made that a stream has before its first position. */
export function sourceOf(known: Known, tensor: string): Source {
  const { graphs, time } = known;
  const found = new Map<string, Source | undefined>();
  const of = (name: string): Source | undefined => {
    const fact = time.facts.get(name);
    if (fact?.kind === "still") return "given";
    if (fact?.kind === "last") return "data";
    if (fact?.kind !== "open" && !(fact?.kind === "stream" && offsetOf(fact).left > 0)) return undefined;
    if (!found.has(name)) {
      const node = graphs.index.producer.get(name);
      const read = node?.inputs.map((input) => (input ? of(input) : undefined)) ?? [];
      const all = [...read, node && ownOf(known, node)].flatMap((source) => source ?? []);
      found.set(name, node && together(node, all));
    }
    return found.get(name);
  };
  return of(tensor) ?? "constants";
}

/** What an operator itself puts in front. */
function ownOf({ constants }: Known, { op, attributes, inputs }: Node): Source | undefined {
  if (op !== "Pad") return undefined;
  const { mode = "constant" } = attributes;
  if (mode !== "constant") return mode === "edge" ? "first" : "data";
  const value = inputs[2] ? constants.get(inputs[2])?.tensor() : undefined;
  return !inputs[2] || (value && toNumbers(value)[0] === 0) ? "zeros" : "constants";
}

/** What a node makes of such rows; where the first position is repeated in all of them, it is in the result. */
function together({ op, inputs }: Node, sources: readonly Source[]): Source {
  const has = (source: Source) => sources.includes(source);
  if (has("data")) return "data";
  if (has("first")) return has("zeros") || has("constants") ? "data" : "first";
  if (op === "Mul" && has("zeros")) return "zeros";
  if (has("given")) return "data";
  const keeps = SUMS.has(op) ? sources.length === inputs.length : KEEPS_ZERO.has(op);
  return sources.length > 0 && !has("constants") && keeps ? "zeros" : "constants";
}
