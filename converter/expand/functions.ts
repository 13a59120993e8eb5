/** Model-local functions by what calls them, and how many nodes a model has once all are inlined. */
import { LongConvError } from "../../src/errors.ts";
import { whereOf } from "../graph/graph.ts";
import { nodeFromProto, standardDomain } from "../graph/node.ts";
import type { FunctionProto, NodeProto } from "../graph/proto.ts";
import { subgraphsOf } from "../graph/reads.ts";

/** Exporters' models have some thousand; a function that calls another ten times, and so on, soon has millions. */
const MOST_NODES = 50_000;

/** Functions by {@link keyOf}. */
export type Functions = ReadonlyMap<string, FunctionProto>;

/** What a node calls a function by, and a function is called by. */
export const keyOf = (
  domain: string | null | undefined,
  name: string | null | undefined,
  { overload }: { readonly overload?: string | null },
): string => JSON.stringify([standardDomain(domain), name, overload ?? ""]);

/** The key of a node's function, if it calls one. */
export function calledBy(node: NodeProto, functions: Functions): string | undefined {
  const key = keyOf(node.domain, node.opType, node);
  return functions.has(key) ? key : undefined;
}

/**
 * Counts what inlining would make, before anything is made.
 * @throws LongConvError `invalid-graph` for a function that calls itself; `too-large` beyond {@link MOST_NODES}
 */
export function refuseExpansion(nodes: readonly NodeProto[], functions: Functions, file: string): void {
  const counts = new Map<string, number>();
  const open = new Set<string>();
  // Depth first with a list of our own: functions can call one another deeper than the call stack.
  const waiting = [...callsIn(nodes, functions)];
  for (let call = waiting.at(-1); call; call = waiting.at(-1)) {
    const { key, node } = call;
    const inner = functions.get(key)!.node ?? [];
    if (counts.has(key)) waiting.pop();
    else if (open.has(key)) {
      counts.set(key, countOf(inner, functions, counts));
      open.delete(key);
      waiting.pop();
    } else {
      open.add(key);
      for (const next of callsIn(inner, functions)) {
        if (open.has(next.key)) throw refusal("invalid-graph", "a function that calls itself", next.node, file);
        if (!counts.has(next.key)) waiting.push(next);
      }
    }
    const count = counts.get(key) ?? 0;
    if (count > MOST_NODES) throw refusal("too-large", tooMany(count), node, file);
  }
  const count = countOf(nodes, functions, counts);
  const first = callsIn(nodes, functions).next().value;
  if (first && count > MOST_NODES) throw refusal("too-large", tooMany(count), first.node, file);
}

const tooMany = (count: number): string =>
  `its functions expand to ${count < 1e15 ? count : "more than 1e15"} nodes; ${MOST_NODES} are the most`;

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

/** Nodes, and what those that call functions become. */
function countOf(nodes: readonly NodeProto[], functions: Functions, counts: ReadonlyMap<string, number>): number {
  let count = nodes.length;
  for (const { key } of callsIn(nodes, functions)) count += counts.get(key) ?? 0;
  return count;
}
