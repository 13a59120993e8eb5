/** A converted model with its weights in fewer bits, whether it was converted just now or long ago: nothing is solved again. */
import { checkArguments } from "../../src/checks.ts";
import { languageNames, METADATA } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { randomPasses, traceOf } from "../compare/rerun.ts";
import type { Model } from "../graph/graph.ts";
import { openModel } from "../ort/run.ts";
import { reported, type WeightsReport } from "./compare.ts";
import { reduceWeights, type WeightKind } from "./weights.ts";

/** A model in fewer bits, and what they changed. */
export interface Stored {
  readonly model: Model;
  readonly weights: WeightsReport;
}

const FIRST = 32;
const MORE = 32;

/**
 * Stores the weights of a converted model in fewer bits, and compares the two on random inputs.
 *
 *     const { model, weights } = await storeWeights(await readModel("recurrent.onnx"), "int8");
 *     await writeModel(model, "recurrent-int8.onnx");
 *
 * @param converted a model of `convert` with float32 weights, or the file of one
 * @throws LongConvError not-converted; usage where it has no float32 matrix to change, or does not say which are the
 *   source's; check-failed where the outputs have nothing to do with each other
 */
export async function storeWeights(converted: Model, kind: WeightKind): Promise<Stored> {
  checkArguments({ "the model": ["model", converted], kind: ["text", kind] });
  const reduced = reduceWeights(converted, kind, matricesOf(converted));
  const passes = randomPasses(converted, FIRST, MORE, 77);
  const traceIn = async (model: Model) => {
    const runner = await openModel(model);
    return traceOf(model.graph, runner, passes).finally(() => runner.close());
  };
  const traces = [await traceIn(converted), await traceIn(reduced.model)] as const;
  const { graph, metadata, file } = converted;
  const names = [graph.inputs, graph.outputs].map((values) => values.map(({ name }) => name));
  const logits = languageNames(names[0]!, names[1]!, metadata)?.logits;
  const weights = reported(traces, { kind, reduced, positions: FIRST + MORE, logits, file });
  const check = JSON.stringify({ ...JSON.parse(metadata.get(METADATA.check) ?? "{}"), weights });
  return { model: { ...reduced.model, metadata: new Map([...metadata, [METADATA.check, check]]) }, weights };
}

/** The source's matrices by name: those of a recurrence are not among them. */
function matricesOf({ metadata, file }: Model): Set<string> {
  const where = { file: file || undefined };
  if (!metadata.has(METADATA.version))
    throw new LongConvError("not-converted", "it carries no state", where, "Convert it first.");
  const names = metadata.get(METADATA.matrices);
  if (names !== undefined) return new Set(JSON.parse(names) as string[]);
  const reason = `its metadata do not say which matrices are weights (${METADATA.matrices})`;
  throw new LongConvError("usage", reason, where, "Convert the exported model again.");
}
