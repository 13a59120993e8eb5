/** `convert --weights` of what is converted: several kinds side by side, and a converted model again. */

import type { Model } from "../../converter/graph/graph.ts";
import { withoutLengthCache } from "../../converter/graph/length-cache.ts";
import { prune } from "../../converter/graph/prune.ts";
import { readsOf } from "../../converter/graph/reads.ts";
import { lookBeside } from "../../converter/output/beside.ts";
import { writeOutput } from "../../converter/output/output.ts";
import { filesOf, refuseTarget, type Target } from "../../converter/output/target.ts";
import type { WeightsReport } from "../../converter/weights/compare.ts";
import { type Stored, storeWeights } from "../../converter/weights/store.ts";
import type { WeightKind } from "../../converter/weights/weights.ts";
import { describeClaim } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { reachOf } from "../reach.ts";
import { oneOrAll, weightsLine, writtenLine } from "./convert-report.ts";
import type { Terminal } from "./terminal.ts";

/** What transformers.js calls them: model_q4.onnx, model_quantized.onnx, model_fp16.onnx. */
const SUFFIXES: Readonly<Record<WeightKind, string>> = { int4: "q4", int8: "quantized", float16: "fp16" };

/** The model in each kind of weights, by the names under which they lie beside it. */
export async function sideBySide(
  terminal: Terminal,
  model: Model,
  kinds: readonly WeightKind[],
): Promise<{ readonly variants: Readonly<Record<string, Model>>; readonly weights: readonly WeightsReport[] }> {
  const stored = await storeAll(terminal, model, kinds);
  return { variants: bySuffix(stored), weights: stored.map(({ weights }) => weights) };
}

const bySuffix = (stored: readonly Stored[]): Record<string, Model> =>
  Object.fromEntries(stored.map(({ model, weights }) => [SUFFIXES[weights.kind], model]));

async function storeAll(terminal: Terminal, model: Model, kinds: readonly WeightKind[]): Promise<Stored[]> {
  const stored: Stored[] = [];
  for (const kind of kinds) {
    terminal.progress("storing weights in fewer bits", stored.length, kinds.length);
    stored.push(await storeWeights(model, kind));
  }
  return stored;
}

/** As a file of its own: without what a folder's drivers want. */
function asConverted(given: Model): Model {
  const { graph, ...model } = withoutLengthCache(given);
  const nodes = prune(
    graph.nodes,
    graph.outputs.map(({ name }) => name),
  );
  const read = new Set(nodes.flatMap((node) => [...readsOf(node)]));
  const initializers = new Map([...graph.initializers].filter(([name]) => read.has(name)));
  return { ...model, graph: { ...graph, nodes, initializers } };
}

/** Options that say how to write, and nothing of how to convert. */
const APPLY: ReadonlySet<string> = new Set(
  "out weights externalData force json progress memory timeout attentionMask numLogitsToKeep".split(" "),
);

interface Options {
  readonly externalData?: "auto" | "always" | "never";
  readonly force?: boolean;
}

/**
 * Writes a converted model again with weights in fewer bits: one kind as the model, several beside it.
 * @throws LongConvError usage for options of a conversion; what `storeWeights` and `writeOutput` throw
 */
export async function reweigh(
  terminal: Terminal,
  given: Model,
  target: Target,
  kinds: readonly WeightKind[],
  options: Options,
): Promise<void> {
  const started = performance.now();
  const other = Object.entries(options).find(([name, value]) => !APPLY.has(name) || value === false);
  if (other) {
    const reason = `the model is converted already: \`${other[0]}\` does not apply to it, only \`weights\``;
    throw new LongConvError("usage", reason, { file: given.file }, "Give the exported model to convert it again.");
  }
  const force = options.force === true;
  const inputs = filesOf(given);
  refuseTarget(target, inputs, force);
  const beside = await lookBeside(given.file);
  const model = target.kind === "folder" ? given : asConverted(given);
  const stored = await storeAll(terminal, model, kinds);
  const several = kinds.length > 1;
  terminal.progress("writing", 0, undefined);
  const written = await writeOutput(several ? model : stored[0]!.model, beside, target, {
    ...{ inputs: [...inputs, ...beside.copied.values()], force, signal: terminal.signal },
    externalData: options.externalData ?? "auto",
    ...(several && { variants: bySuffix(stored) }),
  });
  const weights = stored.map((each) => each.weights);
  const { claim, positions } = reachOf(given.metadata, given.file);
  const seconds = (performance.now() - started) / 1000;
  const said = claim ? [`claim     ${describeClaim(claim)}`] : [];
  terminal.print([...said, ...weights.map(weightsLine), writtenLine(target, written, seconds)].join("\n"));
  const { path: output, kind } = target;
  terminal.result({ source: given.file, output, kind, seconds, claim, positions, weights: oneOrAll(weights) });
}
