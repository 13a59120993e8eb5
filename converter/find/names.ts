/** Names that drivers of converted models give a meaning: inputs and outputs of the export that have them get others. */
import { ATTENTION_MASK, NUM_LOGITS_TO_KEEP } from "../../src/contract.ts";
import { namesOf } from "../onnx/build.ts";
import type { Model } from "../onnx/graph.ts";
import { rewire } from "../onnx/node.ts";

const isTakenInput = (name: string): boolean =>
  name.startsWith("past_") || name === ATTENTION_MASK || name === NUM_LOGITS_TO_KEEP;
const isTakenOutput = (name: string): boolean => name.startsWith("present_") || name.startsWith("present.");

/** Old name -> new name. */
export type Renamed = ReadonlyMap<string, string>;

/** The same model with inputs and outputs that no driver takes for a state, or for an input of its own. */
export function withFreeNames(model: Model): { readonly model: Model; readonly renamed: Renamed } {
  const { graph } = model;
  const taken = namesOf(graph);
  const fresh = (name: string, end: string): string => {
    let candidate = `${end}_${name}`;
    while (taken.has(candidate)) candidate = `${candidate}_`;
    taken.add(candidate);
    return candidate;
  };
  const renamed = new Map([
    ...graph.inputs.filter(({ name }) => isTakenInput(name)).map(({ name }) => [name, fresh(name, "input")] as const),
    ...graph.outputs
      .filter(({ name }) => isTakenOutput(name))
      .map(({ name }) => [name, fresh(name, "output")] as const),
  ]);
  if (renamed.size === 0) return { model, renamed };
  const other = (name: string) => renamed.get(name) ?? name;
  const named = <T extends { readonly name: string }>(each: T): T => ({ ...each, name: other(each.name) });
  const nodes = graph.nodes.map((node) =>
    [...node.inputs, ...node.outputs].some((name) => renamed.has(name))
      ? rewire(node, { inputs: node.inputs.map(other), outputs: node.outputs.map(other) })
      : node,
  );
  const changed = { ...graph, inputs: graph.inputs.map(named), outputs: graph.outputs.map(named), nodes };
  return { model: { ...model, graph: changed }, renamed };
}
