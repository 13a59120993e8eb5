/** num_logits_to_keep: after a prompt only the last positions' logits are wanted, and the head over all costs more than a layer. */
import { NUM_LOGITS_TO_KEEP } from "../../src/contract.ts";
import type { Found } from "../find/found.ts";
import { type Builder, rewire } from "../graph/build.ts";
import type { GraphIndex, Node } from "../graph/graph.ts";
import { timeAxis } from "../time/facts/fact.ts";
import type { TimeFacts } from "../time/follow.ts";
import { isOffset } from "../time/offset.ts";
import { layoutOfOutput } from "./interface.ts";

/** Whether the first output has positions to keep: a time axis that is not flattened with the batch, and all of the sequence's. */
export function canKeepLast({ original, time }: Found): boolean {
  const fact = time.facts.get(original.graph.outputs[0]!.name);
  return fact?.kind === "stream" && !isOffset(fact) && fact.axes[timeAxis(fact.axes)]!.length === 1;
}

/** Where the last positions are taken: in front of `node`'s input number `input`. */
interface Cutting {
  readonly node: Node;
  readonly input: number;
  /** The time axis of the stream there. */
  readonly axis: number;
}

/**
 * The product with the vocabulary is found by walking back from the logits: everything behind it must read that one
 * stream and constants only.
 * @returns undefined where there is no such product; the logits themselves are cut then
 */
function lastCutting(logits: string, index: GraphIndex, time: TimeFacts): Cutting | undefined {
  let name = logits;
  for (;;) {
    const node = index.producer.get(name);
    if (node?.domain !== "") return undefined;
    const streams = node.inputs.flatMap((input, i) => (isData(time, input) ? [i] : []));
    if (streams.length !== 1) return undefined;
    const input = streams[0]!;
    const fact = time.facts.get(node.inputs[input]!);
    if (fact?.kind !== "stream") return undefined;
    const axis = timeAxis(fact.axes);
    if (fact.axes[axis]!.length !== 1) return undefined;
    if (node.op === "MatMul" || node.op === "Gemm") return { node, input, axis };
    if (!KEEPS_POSITIONS.has(node.op)) return undefined;
    if (name !== logits && (index.consumers.get(name)?.length ?? 0) > 1) return undefined;
    name = node.inputs[input]!;
  }
}

const KEEPS_POSITIONS = new Set([
  "Add",
  "Mul",
  "Div",
  "Sub",
  "Identity",
  "Cast",
  "Tanh",
  "Clip",
  "Softmax",
  "LogSoftmax",
]);

const isData = (time: TimeFacts, name: string): boolean => {
  const kind = time.facts.get(name)?.kind;
  return kind !== undefined && kind !== "constant";
};

/** Adds the nodes that keep the last positions of `stream`, all of them for 0; returns what is kept. */
function keepLast(b: Builder, stream: string, axis: number): string {
  const minusOne = b.ints("minus_one", [-1]);
  const count = b.one("Reshape", [NUM_LOGITS_TO_KEEP, b.ints("one", [1])], {}, { hint: "keep" });
  // -0 is 0: from the first position on
  const start = b.one("Mul", [count, minusOne], {}, { hint: "first_kept" });
  const end = b.ints("end", [2 ** 53 - 1]);
  return b.one("Slice", [stream, start, end, b.ints("axis", [axis])], {}, { hint: "kept" });
}

/** Cuts the stream in front of the product with the vocabulary, or the logits themselves. */
export function keepLastPositions(b: Builder, found: Found, nodes: readonly Node[]): Node[] {
  const logits = found.original.graph.outputs[0]!.name;
  const cutting = lastCutting(logits, found.graphs.index, found.time);
  // a product inside a region is gone
  if (!cutting || !nodes.some((node) => node.name === cutting.node.name)) {
    const axis = timeAxis(layoutOfOutput(found, found.original.graph.outputs[0]!));
    const whole = b.name("all_logits");
    const renamed = nodes.map((node) =>
      node.outputs.includes(logits)
        ? rewire(node, { outputs: node.outputs.map((name) => (name === logits ? whole : name)) })
        : node,
    );
    const { nodes: cut } = b.added(() => b.one("Identity", [keepLast(b, whole, axis)], {}, { outputs: [logits] }));
    return [...renamed, ...cut];
  }
  const { made: kept, nodes: cut } = b.added(() => keepLast(b, cutting.node.inputs[cutting.input]!, cutting.axis));
  const rewired = nodes.map((node) =>
    node.name === cutting.node.name
      ? rewire(node, { inputs: node.inputs.map((name, i) => (i === cutting.input ? kept : name)) })
      : node,
  );
  return [...rewired, ...cut];
}
