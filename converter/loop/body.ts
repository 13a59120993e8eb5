/** The body of a Loop, read: what it carries, and what does not change from one turn to the next taken out of it. */

import { decodeNodes } from "../file/read.ts";
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import { initializerFromProto } from "../graph/initializer.ts";
import { rewire } from "../graph/node.ts";
import type { GraphProto, ValueInfoProto } from "../graph/proto.ts";
import { readsOf, subgraphsOf } from "../graph/reads.ts";
import { valueInfoFromProto } from "../graph/valueinfo.ts";

export interface Body {
  /** The number of the turn. */
  readonly turn: string;
  /** The names of that number and of the condition in the body. */
  readonly own: readonly string[];
  /** Whether there is another turn. */
  readonly goesOn: string;
  /** What is carried: as it comes in, as it goes on, what it is before the first turn, and its name behind the loop. */
  readonly carried: readonly Carry[];
  /** What each turn gives, the body's name for it, and the name of all of it behind the loop. */
  readonly given: readonly { readonly each: string; readonly as: string; readonly all: string }[];
  /** What the body declares of its inputs and outputs. */
  readonly declared: ReadonlyMap<string, Ranked>;
  /** What it declares of their types alone. */
  readonly types: ReadonlyMap<string, number>;
  /** Nodes that have to be run in each turn. */
  readonly nodes: readonly Node[];
}

/** A tensor's type, and how many axes it has. */
export interface Ranked {
  readonly type: number;
  readonly rank: number;
}

export interface Carry {
  readonly before: string;
  readonly after: string;
  readonly start: string;
  readonly end: string;
}

const RANDOM = /^(Random|Bernoulli|Multinomial|Dropout)/;

/**
 * What is the same in every turn is added in front of the loop, under new names.
 * @returns undefined where there is control flow in it
 */
export function bodyOf(b: Builder, loop: Node, file: string): Body | undefined {
  const graph = loop.attributes.body as GraphProto;
  if (graph.sparseInitializer?.length || graph.initializer?.some((each) => each.dataLocation)) return undefined;
  const nodes = decodeNodes(graph.node ?? [], file);
  if (nodes.some(({ proto }) => proto.attribute?.some((each) => subgraphsOf(each).length))) return undefined;
  const [turn, condition, ...before] = graph.input!.map(({ name }) => name!);
  const [goesOn, ...outputs] = graph.output!.map(({ name }) => name!);
  const [, started, ...starts] = loop.inputs;
  const producer = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const origin = (name: string): string => {
    const node = producer.get(name);
    return node?.op === "Identity" && node.domain === "" ? origin(node.inputs[0]!) : name;
  };
  const outside = new Map<string, string>();
  for (const proto of graph.initializer ?? [])
    outside.set(proto.name!, b.constant(proto.name!, initializerFromProto(proto).tensor()));
  const carried = before.map(
    (name, i): Carry => ({ before: name, after: outputs[i]!, start: starts[i]!, end: loop.outputs[i] ?? "" }),
  );
  for (const { before, after, start, end } of carried) {
    if (origin(after) !== before) continue;
    outside.set(before, start);
    if (end) b.one("Identity", [start], {}, { outputs: [end] });
  }
  if (origin(goesOn!) === condition && started) outside.set(condition!, started);
  const inside = new Set([turn!, condition!, ...before].filter((name) => !outside.has(name)));
  const now = (name: string) => outside.get(name) ?? name;
  const kept: Node[] = [];
  for (const node of nodes) {
    const inputs = node.inputs.map(now);
    const isSame = [...readsOf(node)].every((name) => !inside.has(name)) && !RANDOM.test(node.op);
    if (isSame) {
      const made = b.copy(node, inputs);
      for (const [i, name] of node.outputs.entries()) if (name) outside.set(name, made[i]!);
    } else {
      for (const name of node.outputs) inside.add(name);
      kept.push(rewire(node, { inputs }));
    }
  }
  return {
    ...{ turn: turn!, own: [turn!, condition!], goesOn: now(goesOn!), nodes: kept },
    // what never changes is no state
    carried: carried.filter(({ before }) => !outside.has(before)).map((each) => ({ ...each, after: now(each.after) })),
    declared: declaredIn([...graph.input!, ...graph.output!]),
    types: new Map([...graph.input!, ...graph.output!].map((proto) => [proto.name!, valueInfoFromProto(proto).type])),
    given: outputs.slice(before.length).map((each, i) => ({
      ...{ each: now(each), as: each },
      all: loop.outputs[before.length + i] ?? "",
    })),
  };
}

const declaredIn = (infos: readonly ValueInfoProto[]): ReadonlyMap<string, Ranked> =>
  new Map(
    infos.flatMap((proto) => {
      const { name, type, dims } = valueInfoFromProto(proto);
      return type !== 0 && dims ? [[name, { type, rank: dims.length }] as const] : [];
    }),
  );
