/** Constants of a graph: initializers, Constant nodes, and what is computed from these alone. */

import { cut } from "../graph/cut.ts";
import type { Graph, Model } from "../graph/graph.ts";
import type { Tensor } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { RANDOM } from "./rules/refused.ts";

/** A constant tensor: its shape is known, its values are read when asked for. */
export interface Constant {
  readonly dims: readonly number[];
  tensor(): Tensor;
}

/** Nodes whose outputs depend on constants alone. */
function constantNodes(graph: Graph): Set<string> {
  const known = new Set(graph.initializers.keys());
  for (const input of graph.inputs) known.delete(input.name);
  const folded = new Set<string>();
  for (const node of graph.nodes) {
    const subgraphs = Object.values(node.attributes).some((value) => typeof value === "object" && "node" in value);
    // random values, Dropout in training mode among them, are no constants
    if (RANDOM.has(node.op) || node.op === "Dropout") continue;
    if (subgraphs || node.domain !== "" || !node.inputs.every((name) => !name || known.has(name))) continue;
    folded.add(node.name);
    for (const output of node.outputs) known.add(output);
  }
  return folded;
}

/** All constants of a graph by name; what nodes compute from constants is evaluated by ORT, once. */
export async function foldConstants(model: Model): Promise<ReadonlyMap<string, Constant>> {
  const { graph } = model;
  const inputs = new Set(graph.inputs.map((input) => input.name));
  const constants = new Map<string, Constant>();
  for (const [name, initializer] of graph.initializers)
    if (!inputs.has(name)) constants.set(name, { dims: initializer.dims, tensor: () => initializer.tensor() });
  const folded = constantNodes(graph);
  const names: string[] = [];
  for (const node of graph.nodes) {
    if (!folded.has(node.name)) continue;
    const value = node.op === "Constant" ? node.attributes.value : undefined;
    if (value && typeof value === "object" && "data" in value)
      constants.set(node.outputs[0]!, { dims: value.dims, tensor: () => value });
    else names.push(...node.outputs.filter(Boolean));
  }
  if (names.length === 0) return constants;
  const runner = await openModel(cut(model, [], names));
  try {
    for (const [name, tensor] of Object.entries(await runner.run({})))
      constants.set(name, { dims: tensor.dims, tensor: () => tensor });
  } finally {
    await runner.close();
  }
  return constants;
}
