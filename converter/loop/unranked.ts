/** Loops that cannot be written as Scan: ONNX Runtime asks for the rank of all that its body gives, which a Loop does not. */
import { LongConvError } from "../../src/errors.ts";
import { type Model, whereOf } from "../graph/graph.ts";

const UNRANKED = /Subgraph must have the shape set/;

/**
 * The error that a run of a model with its loops as Scan ends with, as what it means.
 * @param model as it was before
 * @returns control-flow at the loop for one of rows whose number of axes is not known; any other error as it is
 */
export function asLoopError(error: unknown, model: Model): unknown {
  if (!(error instanceof LongConvError) || !UNRANKED.test(error.reason)) return error;
  const loop = model.graph.nodes.find(({ op, name }) => op === "Loop" && error.reason.includes(`'${name}'`));
  if (!loop) return error;
  return new LongConvError(
    "control-flow",
    "is a loop over rows, and nothing says how many axes they have",
    whereOf(model, loop),
    "Export the model with the shapes of what its loops give.",
  );
}
