/**
 * Graphs that hold their length at R positions, min(n, R), and cannot read more: what they are up to R is the same graph with n in
 * the place of min(n, R).
 */
import type { Model, Node } from "../graph/graph.ts";
import { makeNode } from "../graph/node.ts";
import { toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { timeAxis } from "../time/facts/fact.ts";
import type { Constant } from "../time/fold.ts";
import type { TimeFacts } from "../time/follow.ts";
import type { Graphs } from "./graphs.ts";
import { isFailedRun } from "./respond.ts";
import { fixedSizes, possibleLayouts, zeroInputs } from "./shapes.ts";

/** Where a graph ends. */
export interface HeldLength {
  /** R: it reads as many and no more. */
  readonly positions: number;
  /** What holds the length there. */
  readonly node: Node;
}

/** A graph without what holds its length. */
export interface Freed extends HeldLength {
  /** The same up to R positions. */
  readonly model: Model;
}

interface What {
  readonly graphs: Graphs;
  readonly time: TimeFacts;
  readonly constants: ReadonlyMap<string, Constant>;
}

/** Lengths above R at which a graph that ends there is tried: the next ones, and far ones. */
const BEYOND = [(R: number) => R + 1, (R: number) => R + 2, (R: number) => 2 * R, (R: number) => 2 * R + 7];

/**
 * Takes min(n, R) away where the graph cannot read more than R positions anyway: it fails there, or gives fewer positions than it
 * was fed.
 * @returns undefined where nothing holds the length, or the graph goes on beyond it
 */
export async function freed(model: Model, what: What): Promise<Freed | undefined> {
  if (fixedSizes(what.graphs.inputs).time !== undefined) return undefined;
  const held = model.graph.nodes.flatMap((node) => heldBy(node, what) ?? []);
  const positions = Math.min(...held.map((each) => each.positions));
  if (held.length === 0 || (await readsMore(model, what.graphs, positions))) return undefined;
  const nodes = new Map(held.map(({ node, length }) => [node, sameAs(node, length)]));
  return {
    positions,
    node: held.find((each) => each.positions === positions)!.node,
    model: { ...model, graph: { ...model.graph, nodes: model.graph.nodes.map((node) => nodes.get(node) ?? node) } },
  };
}

interface Held extends HeldLength {
  /** The tensor that is held. */
  readonly length: string;
}

/** min(a n + b, c) of whole numbers: the length from which on it is c. */
function heldBy(node: Node, { time, constants }: What): Held | undefined {
  const [first, second, ...others] = node.inputs;
  if (node.domain !== "" || node.op !== "Min" || !first || !second || others.length > 0) return undefined;
  for (const [length, bound] of [
    [first, second],
    [second, first],
  ] as const) {
    const fact = time.facts.get(length);
    const most = numberOf(time, constants, bound);
    const size = fact?.kind === "shape" && fact.values?.length === 1 ? fact.values[0]! : undefined;
    if (!size || most === undefined || size.time <= 0 || size.batch !== 0 || size.product !== 0) continue;
    return { node, length, positions: Math.floor((most - size.constant) / size.time) };
  }
  return undefined;
}

/** A constant of one number. */
function numberOf({ facts }: TimeFacts, constants: What["constants"], name: string): number | undefined {
  const fact = facts.get(name);
  const [value, ...more] = fact?.kind === "shape" ? (fact.values ?? []) : [];
  if (value && more.length === 0) return value.time === 0 && value.batch === 0 ? value.constant : undefined;
  const constant = constants.get(name);
  return constant?.dims.every((size) => size === 1) ? toNumbers(constant.tensor())[0] : undefined;
}

const sameAs = (node: Node, input: string): Node =>
  makeNode(node.name, "Identity", [input], node.outputs, { origin: node });

/** Whether the graph gives as many positions as it is fed at some length above this one. */
async function readsMore(model: Model, { inputs, shapes }: Graphs, positions: number): Promise<boolean> {
  if (positions < 1) return true;
  const { batch = 1 } = fixedSizes(inputs);
  const runner = await openModel(model);
  const outputs = model.graph.outputs.map(({ name }) => {
    const [axes = []] = possibleLayouts(shapes.seen.get(name) ?? { type: 0, dims: [[]] }, shapes.runs);
    return { name, axis: timeAxis(axes) };
  });
  try {
    for (const beyond of BEYOND) {
      const length = beyond(positions);
      const made = await runner.run(zeroInputs(model, inputs, { batch, time: length })).catch((error: unknown) => {
        if (!isFailedRun(error)) throw error;
      });
      if (made && outputs.every(({ name, axis }) => axis < 0 || made[name]!.dims[axis] === length)) return true;
    }
    return false;
  } finally {
    await runner.close();
  }
}
