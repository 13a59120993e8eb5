/** Where a graph makes one position of several: pieces of the sequence that become channels. */
import type { LongConvError } from "../../src/errors.ts";
import { cut } from "../graph/cut.ts";
import { indexGraph, type Model, type Node } from "../graph/graph.ts";
import { openModel } from "../ort/run.ts";
import { zeroInputs } from "../parts/seen-shapes.ts";
import type { InputAxes } from "../time/inputs.ts";

/** Operators that only say where numbers stand. */
const LAYS_OUT = new Set(["Reshape", "Transpose", "Identity", "Squeeze", "Unsqueeze"]);

/** Numbers of pieces that are looked at: primes. */
const COUNTS = [7, 11, 13];

/**
 * The node at which a graph that runs at multiples of a number alone could not be run, where the places in a piece are channels behind
 * it; undefined where they are still an axis of their own, as those that attend within their piece.
 * @param error what running it at another length gave, which names the node
 */
export async function mergedAt(
  model: Model,
  inputs: InputAxes,
  { batch, step, error }: { readonly batch: number; readonly step: number; readonly error: LongConvError },
): Promise<Node | undefined> {
  const name = /Name:'([^']+)'/.exec(error.reason)?.[1];
  const node = name === undefined ? undefined : model.graph.nodes.find((each) => each.name === name);
  if (node?.op !== "Reshape") return undefined;
  const { consumers } = indexGraph(model.graph);
  let last = node.outputs[0]!;
  for (;;) {
    const [next, ...more] = consumers.get(last) ?? [];
    if (!next || more.length > 0 || !LAYS_OUT.has(next.op) || next.inputs[0] !== last) break;
    last = next.outputs[0]!;
  }
  const runner = await openModel(cut(model, model.graph.inputs, [last]), { optimization: "disabled" });
  try {
    for (const count of COUNTS) {
      const { dims } = (await runner.run(zeroInputs(model, inputs, { batch, time: count * step })))[last]!;
      const isMerged = dims.includes(count) && !dims.some((size) => size === step || size === count * step);
      if (!isMerged) return undefined;
    }
    return node;
  } finally {
    await runner.close();
  }
}
