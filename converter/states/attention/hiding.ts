/** Keys that are padding of a batch are hidden from an attention. */
import { ATTENTION_MASK } from "../../../src/contract.ts";
import { LongConvError } from "../../../src/errors.ts";
import type { SymbolNames } from "../../find/carried.ts";
import { shapeOperand } from "../../find/layout.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import type { Layout } from "../../time/facts/fact.ts";
import type { Pairs } from "./pairs.ts";

export interface Hiding {
  /** The inputs of a node, the scores of padding replaced. */
  before(node: Node, inputs: readonly string[]): readonly string[];
  /** What a node has made, the weights of padding replaced. */
  after(node: Node, output: string): string;
}

/** What a score is that no softmax lets through, and that is no infinity: a row of padding alone gives numbers. */
const LOW = -1e30;

/** In front of the softmax; where it is written out, behind its exponential; without one, in the sums over the keys. */
export function hidesPadding(b: Builder, pairs: Pairs, symbols: SymbolNames): Hiding {
  const floats = b.one("Cast", [ATTENTION_MASK], { to: DataType.FLOAT }, { hint: "mask" });
  const columns = (layout: Layout): string => {
    const apart = layout.map((axis) => axis.filter((factor) => factor === "batch" || factor === "keys"));
    return b.one("Reshape", [floats, shapeOperand(b, apart, symbols, [["batch"], ["keys"]])], {}, { hint: "mask" });
  };
  const has = (op: string) => pairs.nodes.some((node) => node.op === op);
  const [softmax, exponential] = [has("Softmax"), has("Exp")];
  const layoutOf = (name: string) => pairs.layouts.get(name)!;
  return {
    before(node, inputs) {
      if (node.op === "Softmax" && softmax) {
        const shown = b.one("Cast", [columns(layoutOf(node.inputs[0]!))], { to: DataType.BOOL }, { hint: "shown" });
        return [b.one("Where", [shown, inputs[0]!, b.floats("low", [1], [LOW])], {}, { hint: "scores" })];
      }
      if (softmax || exponential || node.op !== "MatMul") return inputs;
      const [weights] = node.inputs;
      const layout = pairs.layouts.get(weights!);
      if (!layout?.flat().includes("keys")) return inputs;
      return [b.one("Mul", [inputs[0]!, columns(layout)], {}, { hint: "weights" }), ...inputs.slice(1)];
    },
    after(node, output) {
      if (node.op !== "Exp" || softmax) return output;
      const layout = layoutOf(node.outputs[0]!);
      if (!layout.flat().includes("keys"))
        throw new LongConvError(
          "unsupported-layout",
          "weighs keys in a way in which padding cannot be hidden",
          { node: node.name },
          "Convert without attention_mask.",
        );
      return b.one("Mul", [output, columns(layout)], {}, { hint: "weights" });
    },
  };
}
