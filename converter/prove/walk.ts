/** Follows the nodes that make a tensor in one case, from what is known of their inputs to what is known of it. */
import type { GraphIndex, Model, Node } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import { add, dim, multiply, subtract, TIME } from "../time/facts/dim.ts";
import type { Fact, Layout } from "../time/facts/fact.ts";
import type { Constant } from "../time/fold.ts";
import type { TimeFacts } from "../time/follow.ts";
import { LARGEST } from "../time/held.ts";
import { RANDOM } from "../time/rules/refused.ts";
import { FROM_SIZES, RULES, SIZE_RULES } from "./rules/index.ts";
import { atLeast, type Case, Inexact, NotRun, negated, Split, Unproven } from "./values/cases.ts";
import { fixed, isDyadic, type Rule, rankOf, type Site, sizes } from "./values/rule.ts";
import {
  type Axes,
  type Factor,
  keyOfName,
  type Lines,
  lineAt,
  linesOf,
  positionOf,
  type Sizes,
  tensor,
  type Value,
} from "./values/value.ts";

/** What is known of the graph around what is proven. */
export interface Known {
  readonly model: Model;
  readonly index: GraphIndex;
  /** onnx.TensorProto.DataType of a tensor, as it was seen. */
  readonly typeOf: (tensor: string) => number | undefined;
  readonly time: TimeFacts;
  readonly constants: ReadonlyMap<string, Constant>;
  /** Functions of the position whose layout was seen, not proven. */
  readonly seen: ReadonlySet<string>;
  /** Each channel that enters is known alone, so that channels of what is mixed may be added up. */
  readonly mixesChannels?: boolean | undefined;
}

/** Why a walk stopped, with the node. */
export class Stopped {
  readonly node: Node;
  readonly why: Split | Unproven | NotRun | Inexact;
  constructor(node: Node, why: Split | Unproven | NotRun | Inexact) {
    this.node = node;
    this.why = why;
  }
}

/** Runs something for a node. @throws Stopped with that node */
export function at<T>(node: Node, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if ([Split, Unproven, NotRun, Inexact].some((kind) => error instanceof kind))
      throw new Stopped(node, error as Stopped["why"]);
    throw error;
  }
}

/** The nodes that make a tensor from others, in their order. */
export function nodesTo({ model, index }: Known, goal: string, start: ReadonlyMap<string, Value>): readonly Node[] {
  const wanted = new Set<Node>();
  const queue = [goal];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const node = start.has(name) ? undefined : index.producer.get(name);
    if (!node || wanted.has(node)) continue;
    wanted.add(node);
    queue.push(...node.inputs.filter(Boolean));
  }
  return model.graph.nodes.filter((node) => wanted.has(node));
}

/** What is known of a tensor in one case, from what is known of others. @throws Stopped */
export function walk(
  known: Known,
  nodes: readonly Node[],
  goal: string,
  start: ReadonlyMap<string, Value>,
  which: Case,
): { readonly value: Value | undefined; readonly values: ReadonlyMap<string, Value> } {
  const values = new Map(start);
  const opset = known.model.opsets.get("") ?? 1;
  const failed = new Map<string, Stopped>();
  const valueAt = (name: string): Value | undefined => {
    const value = values.get(name) ?? (failed.has(name) ? undefined : fromFact(known, name));
    if (value) values.set(name, value);
    return value;
  };
  for (const node of nodes) {
    if (node.outputs.every((name) => !name || known.constants.has(name))) continue;
    const site: Site = { which, opset, node, typeOf: known.typeOf, mixesChannels: known.mixesChannels };
    try {
      const stopped = node.inputs.map((name) => failed.get(name)).find((each) => each !== undefined);
      const inputs = node.inputs.map((name) => (name ? valueAt(name) : undefined));
      const missing = node.inputs.findIndex((name, i) => name && !inputs[i]);
      if (missing >= 0 && stopped) throw stopped;
      if (missing >= 0)
        throw new Stopped(node, new Unproven(`takes in '${node.inputs[missing]}', which is not followed`));
      const made = at(node, () => follow(node, inputs, site));
      for (const [i, name] of node.outputs.entries()) if (name && made[i]) values.set(name, made[i]);
    } catch (error) {
      if (!(error instanceof Stopped) || error.why instanceof Split) throw error;
      // what is known of it by the rules of time is enough, if it is wanted at all
      const isExact = !(error.why instanceof Inexact);
      for (const name of node.outputs) if (name && !(isExact && fromFact(known, name))) failed.set(name, error);
    }
  }
  const stopped = failed.get(goal);
  if (stopped) throw stopped;
  return { value: valueAt(goal), values };
}

/** The values of a node's outputs. */
function follow(node: Node, inputs: readonly (Value | undefined)[], site: Site): readonly Value[] {
  const name = node.domain ? `${node.domain}::${node.op}` : node.op;
  if (RANDOM.has(node.op)) throw new Unproven("draws random numbers");
  const ofSizes = inputs.some((input) => input?.kind !== "tensor" && input !== undefined);
  const isSmall = inputs.every((input) => (rankOf(input) ?? 0) <= 1);
  const rules: (Rule | undefined)[] = [
    FROM_SIZES[name] ?? (ofSizes && isSmall ? SIZE_RULES[name] : undefined),
    RULES[name],
  ];
  let refused: Unproven | undefined;
  for (const rule of rules) {
    if (!rule) continue;
    try {
      const made = rule(inputs, node.attributes, site);
      const values: readonly Value[] = Array.isArray(made) ? made : [made as Value];
      return values.map((value, i) => {
        if (value.kind === "tensor") {
          refuseTangled(value);
          refuseUncountable(site, node.outputs[i]!, value);
        }
        if (value.kind !== "sizes") return value;
        refuseUnheld(site, node.outputs[i]!, value, inputs);
        return isOfLength(node, inputs) ? { ...value, ofLength: true } : value;
      });
    } catch (error) {
      if (!(error instanceof Unproven)) throw error;
      refused ??= error;
    }
  }
  throw refused ?? new Unproven(`is an operator that no proof follows`);
}

/** Whether the length was taken to make sizes: what is only picked from a shape may be channels. */
const isOfLength = ({ op }: Node, inputs: readonly (Value | undefined)[]): boolean =>
  inputs.some((input) => {
    if (input?.kind !== "sizes") return false;
    const calculates = op === "Where" || !(PASSES.has(op) || PICKS.has(op));
    return input.ofLength || (calculates && input.values.some(({ time }) => time !== 0));
  });

/** @throws Unproven where a tensor grows along more axes than what is said of it has */
function refuseTangled({ axes, parts }: Extract<Value, { kind: "tensor" }>): void {
  const lines = linesOf(axes);
  for (const part of parts) {
    if (part.kind === "fixed") continue;
    const isMatrix = part.kind === "pairs" || part.kind === "windows";
    const own = part.kind === "index" ? [...part.coefficients.keys()] : isMatrix ? [part.row, part.column] : [];
    const isOne = part.kind === "index" || lines.length === (isMatrix ? 2 : 1);
    if (!isOne || !own.every((axis) => lineAt(axes, axis)))
      throw new Unproven("spreads positions over another axis of the length");
  }
}

/** Rules that take numbers apart or pass them on; others calculate with them. */
const PASSES = new Set(["Floor", "Ceil", "Round", "Cast", "CastLike", "Identity", "Squeeze", "Unsqueeze", "Reshape"]);
const PICKS = new Set(["Concat", "Gather", "Slice", "Where", "Shape", "Size"]);

/**
 * @throws Inexact where numbers made of the length are larger than their type can hold, Unproven where they are calculated
 * with fractions that are rounded
 */
function refuseUnheld(
  { which, node, typeOf }: Site,
  output: string,
  { values }: Sizes,
  inputs: readonly (Value | undefined)[],
): void {
  const largest = LARGEST.get(typeOf(output) ?? DataType.INT64);
  if (largest === undefined) throw new Unproven("counts in a type that does not hold the length");
  const calculates = !PASSES.has(node.op) && !PICKS.has(node.op);
  const given = inputs.flatMap((input) => (input?.kind === "sizes" ? input.values : []));
  if (calculates && given.some((size) => fractionOf(which, size) === undefined))
    throw new Unproven("calculates with a fraction of the length, which is rounded");
  for (const size of values) {
    if (size.batch || size.product || (size.time === 0 && Math.abs(size.constant) <= largest)) continue;
    // a multiple of 4 is held as far as 4 times the number
    const edge = dim(largest * (typeOf(output) === DataType.FLOAT ? (fractionOf(which, size) ?? 1) : 1));
    if (!atLeast(which, edge, size) || !atLeast(which, size, negated(edge)))
      throw new Inexact("counts further than its type holds");
  }
}

/** @throws Inexact where places along the lines are larger than their type holds; Unproven where they wrap below 0 */
function refuseUncountable({ which, typeOf }: Site, output: string, { axes, parts }: Lines): void {
  for (const part of parts) {
    if (part.kind !== "index") continue;
    const largest = LARGEST.get(typeOf(output) ?? DataType.INT64);
    if (largest === undefined) throw new Unproven("counts positions in a type that does not hold them");
    let [low, high] = [part.offset, part.offset];
    for (const [axis, by] of part.coefficients) {
      const last = multiply(subtract(lineAt(axes, axis) ?? dim(1), dim(1)), dim(by))!;
      if (by > 0) high = add(high, last);
      else low = add(low, last);
    }
    if (!atLeast(which, dim(largest), high) || !atLeast(which, low, dim(-largest)))
      throw new Inexact("counts further than its type holds");
  }
}

/** A power of 2 of which a size is a multiple at every length of a case, from 1/1024 to 8; undefined: none. */
function fractionOf({ modulus, residue }: Case, { constant, time }: Sizes["values"][number]): number | undefined {
  const [step, base] = [time * modulus, constant + time * residue];
  if (!isDyadic(step) || !isDyadic(base)) return undefined;
  let fraction = 8;
  while (!Number.isInteger(step / fraction) || !Number.isInteger(base / fraction)) fraction /= 2;
  return fraction;
}

/** Axes of a layout, with lines of the length in the place of time. */
export const axesOf = (layout: Layout): Axes =>
  layout.map((axis) =>
    axis.map((factor): Factor => (factor === "time" || factor === "keys" ? { line: TIME } : factor)),
  );

/** What the rules of time know of a tensor that is no stream. */
function fromFact({ index, time, constants, seen }: Known, name: string): Value | undefined {
  const fact: Fact | undefined = time.facts.get(name);
  const constant = constants.get(name);
  if (constant) {
    const axes = constant.dims.map((size) => (size === 1 ? [] : [size]));
    const count = constant.dims.reduce((a, b) => a * b, 1);
    const read = () => constant.tensor();
    return fixed(axes, keyOfName(name), {
      tensor: read,
      zero: count <= SMALL && [...(read().data as Iterable<number | bigint>)].every((value) => Number(value) === 0),
    });
  }
  // of tensors whose layout is known; what is made of sizes is followed here
  if (fact?.kind === "shape")
    return fact.values && ["Shape", "Size"].includes(index.producer.get(name)?.op ?? "")
      ? sizes(fact.rank, fact.values)
      : undefined;
  if (fact?.kind !== "position" || !fact.axes || seen.has(name)) return undefined;
  const axes = axesOf(fact.axes);
  const [line, ...others] = linesOf(axes);
  if (line === undefined) return fixed(axes, keyOfName(name));
  return others.length > 0 ? undefined : tensor(axes, positionOf(keyOfName(name), TIME));
}

/** Constants that are looked at for zeros. */
const SMALL = 4096;
