/** The graph that a loop runs at each position, as nodes and the constants that they read. */
import type { Known } from "../../find/carried.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { initializerFromProto, initializerOf } from "../../graph/initializer.ts";
import { nodeFromProto } from "../../graph/node.ts";
import type { GraphProto } from "../../graph/proto.ts";
import { readsOf } from "../../graph/reads.ts";
import { valueInfoFromProto } from "../../graph/valueinfo.ts";
import { type Constant, foldConstants } from "../../time/fold.ts";

export interface Body {
  /** Names of its inputs: states, then what is scanned. */
  readonly inputs: readonly string[];
  /** Names of its outputs: states, then what is laid one behind the other. */
  readonly outputs: readonly string[];
  readonly nodes: readonly Node[];
}

/** @returns undefined where one of its nodes has a graph of its own */
export function bodyOf(node: Node): Body | undefined {
  const body = node.attributes.body as GraphProto;
  const nodes = (body.node ?? []).map((proto, i) => nodeFromProto(proto, `${node.name}_${proto.opType}_${i}`));
  if (nodes.some((each) => readsOf(each).size > new Set(each.inputs.filter(Boolean)).size)) return undefined;
  const names = (infos: GraphProto["input"]) => (infos ?? []).map(({ name }) => name!);
  return { inputs: names(body.input), outputs: names(body.output), nodes };
}

/** It as a graph of its own. @param outer constants around it that are its own then */
export function graphOf(node: Node, { nodes }: Body, outer: ReadonlyMap<string, Constant> = new Map()): Graph {
  const body = node.attributes.body as GraphProto;
  const own = (body.initializer ?? []).map((tensor) => [tensor.name!, initializerFromProto(tensor)] as const);
  const given = [...outer].map(([name, constant]) => [name, initializerOf(name, constant.tensor())] as const);
  return {
    inputs: (body.input ?? []).map(valueInfoFromProto),
    outputs: (body.output ?? []).map(valueInfoFromProto),
    nodes,
    initializers: new Map([...given, ...own]),
  };
}

/** All constants that it reads, those around it and those that it computes among them; undefined where they cannot be computed. */
export async function constantsOf(
  { graphs, constants }: Known,
  node: Node,
  body: Body,
): Promise<ReadonlyMap<string, Constant> | undefined> {
  const reads = new Set(body.nodes.flatMap(({ inputs }) => inputs).concat(body.outputs));
  const outer = new Map([...constants].filter(([name]) => reads.has(name) && !body.inputs.includes(name)));
  return foldConstants({ ...graphs.model, graph: graphOf(node, body, outer) }).catch(() => undefined);
}
