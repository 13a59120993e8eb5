/** Keys that are padding of a batch are hidden from an attention. */
import type { Place } from "../../find/carried.ts";
import { type Builder, fromFloat } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import type { SymbolNames } from "../../parts/layout.ts";
import { shapeOperand } from "../../parts/layout.ts";
import type { Pairs } from "./pairs.ts";

export interface Hiding {
  /** The inputs of a node, the scores of padding replaced. */
  before(node: Node, inputs: readonly string[]): readonly string[];
  /** Whether what a node makes is replaced. */
  changes(node: Node): boolean;
  /** What a node has made, the weights of padding replaced. */
  after(node: Node, output: string): string;
}

const SOFTMAX = new Set(["Softmax", "LogSoftmax"]);
const SUMS = new Set(["MatMul", "ReduceSum"]);
const MAXIMA = new Set(["ReduceMax", "ReduceLogSumExp"]);

/** What a score is that no softmax lets through, and that is no infinity: a row of padding alone gives numbers. */
const LOW = -1e30;
const LOW_HALF = -6e4;

/**
 * In front of the softmax; where it is written out or there is none, in front of maxima over the keys, behind exponentials, and in the
 * sums over the keys.
 * @param shown [batch, keys]: 0 where a key is hidden
 */
export function hidesPadding(b: Builder, pairs: Pairs, place: Place, symbols: SymbolNames, shown: string): Hiding {
  const columns = (name: string, to: number): string => {
    const typed = b.one("Cast", [shown], { to }, { hint: "shown" });
    const apart = layoutOf(name).map((axis) => axis.filter((factor) => factor === "batch" || factor === "keys"));
    return b.one("Reshape", [typed, shapeOperand(b, apart, symbols, [["batch"], ["keys"]])], {}, { hint: "shown" });
  };
  const layoutOf = (name: string) => pairs.layouts.get(name) ?? [];
  const hasKeys = (name: string) => layoutOf(name).flat().includes("keys");
  const softmax = pairs.nodes.some(({ op }) => SOFTMAX.has(op));
  const filled = (name: string, value: number, hint = "number"): string =>
    fromFloat(b, b.floats(hint, [1], [value]), place.typeOf(name), hint);
  const low = (name: string): string => filled(name, place.typeOf(name) === DataType.FLOAT ? LOW : LOW_HALF, "low");
  // no product: of padding alone a weight is no number
  const weighed = (name: string, tensor: string): string =>
    b.one("Where", [columns(name, DataType.BOOL), tensor, filled(name, 0)], {}, { hint: "weights" });
  /** The sum of the weights, 1 where there is none: what padding alone gives stays a number. */
  const divisor = (name: string, tensor: string): string => {
    const some = b.one("Cast", [tensor], { to: DataType.BOOL }, { hint: "any" });
    return b.one("Where", [some, tensor, filled(name, 1)], {}, { hint: "sum" });
  };
  const isSum = ({ op, inputs, outputs }: Node) =>
    !softmax && op === "ReduceSum" && hasKeys(inputs[0]!) && !hasKeys(outputs[0]!);
  const isExponential = ({ op, outputs }: Node) => !softmax && op === "Exp" && hasKeys(outputs[0]!);
  return {
    before(node, inputs) {
      const [name] = node.inputs as [string];
      if (!hasKeys(name)) return inputs;
      if (SOFTMAX.has(node.op) || (MAXIMA.has(node.op) && !hasKeys(node.outputs[0]!))) {
        const scores = [columns(name, DataType.BOOL), inputs[0]!, low(name)];
        return [b.one("Where", scores, {}, { hint: "scores" }), ...inputs.slice(1)];
      }
      if (softmax || !SUMS.has(node.op) || hasKeys(node.outputs[0]!)) return inputs;
      return [weighed(name, inputs[0]!), ...inputs.slice(1)];
    },
    changes: (node) => isExponential(node) || isSum(node),
    after(node, output) {
      const [name] = node.outputs as [string];
      return isSum(node) ? divisor(name, output) : weighed(name, output);
    },
  };
}
