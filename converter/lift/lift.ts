/** Files of old opsets, and of those that no runtime has yet, in one that the rules are written for. */

import { decodeNodes } from "../file/read.ts";
import { type Builder, createBuilder, irVersionFor, namesOf, patched } from "../graph/build.ts";
import type { Model, Node } from "../graph/graph.ts";
import { initializerFromProto } from "../graph/initializer.ts";
import { mapSubgraphs, nodeFromProto, rewire } from "../graph/node.ts";
import type { GraphProto } from "../graph/proto.ts";
import { readsOf } from "../graph/reads.ts";
import { withFields } from "../graph/schema.ts";
import { valueInfoFromProto } from "../graph/valueinfo.ts";
import { type Known, knownIn, learnGraph, learnNode } from "./known.ts";
import type { Row } from "./rows/row.ts";
import { ROWS } from "./table.ts";

/** Opsets that need no lift: those that rules know and ONNX Runtime runs. */
export const RUNNING = [13, 26] as const;

/** The newest IR version that ONNX Runtime reads; later ones say nothing that a model of these opsets needs. */
const NEWEST_IR = 13;

interface Around {
  readonly file: string;
  readonly opset: number;
}

/**
 * The model with an opset between 13 and 26: older operators, and those of 27, are replaced node by node by what means
 * the same there, also inside subgraphs. A model of such an opset is returned as it is.
 * @throws LongConvError `unsupported-opset` with the node, where an operator means what none means later
 */
export function lift(model: Model): Model {
  const opset = model.opsets.get("") ?? RUNNING[0];
  const target = Math.max(RUNNING[0], Math.min(RUNNING[1], opset));
  if (target === opset && model.irVersion <= NEWEST_IR) return model;
  const { graph } = model;
  const b = createBuilder(target, namesOf(graph));
  const shell = model.proto.graph ?? {};
  const known = knownIn();
  learnGraph(known, graph, shell.valueInfo ?? []);
  const read = new Set(graph.outputs.map(({ name }) => name));
  const nodes = liftNodes(graph.nodes, b, known, read, { file: model.file, opset });
  // before IR 4 every initializer was an input as well, which nobody meant to be overridden
  const inputs = model.irVersion < 4 ? [] : (shell.input ?? []);
  return {
    ...model,
    irVersion: Math.min(Math.max(model.irVersion, irVersionFor(RUNNING[0])), NEWEST_IR),
    opsets: new Map([...model.opsets, ["", target]]),
    graph: patched(graph, b, nodes),
    proto: withFields(model.proto, { graph: withFields(shell, { input: inputs }) }),
  };
}

function liftNodes(
  nodes: readonly Node[],
  b: Builder,
  known: Known,
  outputs: ReadonlySet<string>,
  around: Around,
): Node[] {
  const read = new Set([...outputs, ...nodes.flatMap((node) => [...readsOf(node)])]);
  const lifted: Node[] = [];
  for (const each of nodes) {
    const node = withLiftedSubgraphs(each, b, known, around);
    const row = node.domain === "" && Object.hasOwn(ROWS, node.op) ? ROWS[node.op]! : undefined;
    const { made, nodes: added } = b.added(
      () => (row && applies(row, around.opset) ? row.rewrite(siteOf(node, b, known, read, around)) : node),
      node,
    );
    const inner = added.map((each) => rewire(each, { name: b.name(`${node.name}/${each.op}`) }));
    lifted.push(...inner, made);
    learnNode(known, node, [...inner, made], b.initializers);
  }
  return lifted;
}

const applies = ({ before }: Row, opset: number): boolean =>
  before === undefined ? opset > RUNNING[1] : opset < before;

const siteOf = (node: Node, b: Builder, known: Known, read: ReadonlySet<string>, { file, opset }: Around) => ({
  ...{ node, b, opset, file },
  typeOf: (name: string) => known.types.get(name) ?? 1,
  rankOf: (name: string) => known.shapes.get(name)?.dims?.length,
  dimsOf: (name: string) => known.dims.get(name),
  constantOf: (name: string) => known.constants.get(name)?.(),
  isRead: (name: string) => read.has(name),
});

function withLiftedSubgraphs(node: Node, b: Builder, outer: Known, around: Around): Node {
  const proto = mapSubgraphs(node.proto, (graph) => liftSubgraph(graph, b, outer, around));
  return proto === node.proto ? node : nodeFromProto(proto, node.name);
}

function liftSubgraph(graph: GraphProto, b: Builder, outer: Known, around: Around): GraphProto {
  const known = knownIn(outer);
  const parts = {
    inputs: (graph.input ?? []).map(valueInfoFromProto),
    outputs: (graph.output ?? []).map(valueInfoFromProto),
    initializers: new Map((graph.initializer ?? []).map((each) => [each.name ?? "", initializerFromProto(each)])),
  };
  learnGraph(known, parts, graph.valueInfo ?? []);
  const read = new Set(parts.outputs.map(({ name }) => name));
  const nodes = liftNodes(decodeNodes(graph.node ?? [], around.file), b.subgraph(), known, read, around);
  return withFields(graph, { node: nodes.map(({ proto }) => proto) });
}
