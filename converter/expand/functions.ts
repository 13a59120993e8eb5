/** Model-local functions by what calls them; a model that would be too large once all are inlined is refused. */
import { LongConvError } from "../../src/errors.ts";
import { type Body, describeExpansion, expansionOf, functionKey, MOST_NODES } from "../../src/function-sizes.ts";
import { whereOf } from "../graph/graph.ts";
import { nodeFromProto } from "../graph/node.ts";
import type { FunctionProto, NodeProto } from "../graph/proto.ts";
import { subgraphsOf } from "../graph/reads.ts";

/** Functions by {@link functionKey}. */
export type Functions = ReadonlyMap<string, FunctionProto>;

/** The key of a node's function, if it calls one. */
export function calledBy(node: NodeProto, functions: Functions): string | undefined {
  const key = functionKey(node.domain, node.opType, node.overload);
  return functions.has(key) ? key : undefined;
}

/**
 * Counts what inlining would make, before anything is made.
 * @throws LongConvError `invalid-graph` for a function that calls itself; `too-large` beyond {@link MOST_NODES}
 */
export function refuseExpansion(nodes: readonly NodeProto[], functions: Functions, file: string): void {
  const bodies = new Map([...functions].map(([key, { node }]) => [key, bodyOf(node ?? [], functions)]));
  const { nodes: count, circular } = expansionOf(bodyOf(nodes, functions), bodies);
  if (circular !== undefined) {
    const all = [nodes, ...Array.from(functions.values(), ({ node }) => node ?? [])];
    const circle = all.flatMap((each) => [...callsIn(each, functions)]).find(({ key }) => key === circular);
    throw refusal("invalid-graph", "a function that calls itself", circle!.node, file);
  }
  const first = callsIn(nodes, functions).next().value;
  if (first && count > MOST_NODES) throw refusal("too-large", describeExpansion(count), first.node, file);
}

const bodyOf = (nodes: readonly NodeProto[], functions: Functions): Body => ({
  nodes: nodes.length,
  calls: Array.from(callsIn(nodes, functions), ({ key }) => key),
});

const refusal = (code: "invalid-graph" | "too-large", reason: string, node: NodeProto, file: string): LongConvError =>
  new LongConvError(
    code,
    reason,
    whereOf({ file }, nodeFromProto(node, "")),
    "Export the model without functions, or a part of it.",
  );

interface Call {
  readonly key: string;
  readonly node: NodeProto;
}

/** Calls of functions, also those inside subgraphs. */
function* callsIn(nodes: readonly NodeProto[], functions: Functions): Generator<Call, undefined> {
  for (const node of nodes) {
    const key = calledBy(node, functions);
    if (key !== undefined) yield { key, node };
    for (const attribute of node.attribute ?? [])
      for (const graph of subgraphsOf(attribute)) yield* callsIn(graph.node ?? [], functions);
  }
}
