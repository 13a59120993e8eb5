/**
 * What a loop does at each position, done at all positions at once: its tensors [batch, …] become [batch, time, …]. One row an
 * operator: what changes where time stands behind the batch; an operator without a row stays in the loop.
 */
import { type Builder, withAttributes } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { rewire } from "../../graph/node.ts";
import { toNumbers } from "../../graph/tensor.ts";
import type { Constant } from "../../time/fold.ts";

/** Constants by name, and the ranks of tensors that differ from position to position, as the loop sees them. */
interface Around {
  readonly constants: ReadonlyMap<string, Constant>;
  readonly ranks: ReadonlyMap<string, number>;
}

/** How a node stands with time behind the batch. */
interface Spread {
  /** Rank of its outputs in the loop. */
  readonly rank: number;
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
  /** Constant inputs with other numbers. */
  readonly numbers?: ReadonlyMap<number, readonly number[]>;
}

type Row = (node: Node, around: Around) => Spread | undefined;

/** An axis with time behind axis 0; undefined for the batch itself, and where it is counted from the end to the batch. */
function moved(axis: number, rank: number): number | undefined {
  const front = axis < 0 ? axis + rank : axis;
  return front < 1 || front >= rank ? undefined : front + 1;
}

function movedAll(axes: readonly number[], rank: number): number[] | undefined {
  const all = axes.map((axis) => moved(axis, rank));
  return all.every((axis) => axis !== undefined) ? all : undefined;
}

const rankOf = (node: Node, around: Around, input = 0): number | undefined =>
  around.ranks.get(node.inputs[input] ?? "");

const numbersOf = ({ inputs }: Node, { constants }: Around, input: number): number[] | undefined => {
  const constant = inputs[input] ? constants.get(inputs[input]) : undefined;
  return constant && Array.from(toNumbers(constant.tensor()));
};

/** Inputs meet element by element: those with time have one rank, constants no row of their own for a sequence. */
const elementwise: Row = (node, { ranks, constants }) => {
  const [rank, ...others] = new Set(node.inputs.flatMap((name) => ranks.get(name) ?? []));
  const isPlain = node.inputs.every((name) => {
    const dims = name && !ranks.has(name) ? constants.get(name)?.dims : [];
    return dims !== undefined && (dims.length < rank! || (dims.length === rank && dims[0] === 1));
  });
  return rank === undefined || others.length > 0 || !isPlain ? undefined : { rank };
};

/** An attribute says the axis. */
const alongAxis =
  (otherwise: number): Row =>
  (node, around) => {
    const ranks = new Set(node.inputs.filter(Boolean).map((name) => around.ranks.get(name)));
    const rank = rankOf(node, around);
    const axis = rank && moved(Number(node.attributes.axis ?? otherwise), rank);
    return axis && ranks.size === 1 ? { rank: rank!, attributes: { axis } } : undefined;
  };

const Split: Row = (node, around) => {
  const rank = rankOf(node, around);
  const axis = rank && moved(Number(node.attributes.axis ?? 0), rank);
  return axis ? { rank: rank!, attributes: { axis } } : undefined;
};

const Gather: Row = (node, around) => {
  const rank = rankOf(node, around);
  const places = around.constants.get(node.inputs[1]!);
  const axis = rank && moved(Number(node.attributes.axis ?? 0), rank);
  return axis && places ? { rank: rank! - 1 + places.dims.length, attributes: { axis } } : undefined;
};

/** Axes are a constant input. @param more axes that come in with each of them */
const axesInput =
  (input: number, more: number): Row =>
  (node, around) => {
    const own = rankOf(node, around);
    const axes = numbersOf(node, around, input);
    if (own === undefined || !axes) return undefined;
    const rank = own + Math.max(0, more) * axes.length;
    const all = movedAll(axes, rank);
    return all && { rank: own + more * axes.length, numbers: new Map([[input, all]]) };
  };

const Reduced: Row = (node, around) => {
  const rank = rankOf(node, around);
  const given = (node.attributes.axes as readonly number[] | undefined) ?? numbersOf(node, around, 1);
  const axes = rank === undefined || !given ? undefined : movedAll(given, rank);
  if (!axes) return undefined;
  const left = Number(node.attributes.keepdims ?? 1) ? rank! : rank! - axes.length;
  return { rank: left, ...(node.attributes.axes ? { attributes: { axes } } : { numbers: new Map([[1, axes]]) }) };
};

const Transpose: Row = (node, around) => {
  const rank = rankOf(node, around);
  const perm = node.attributes.perm as readonly number[] | undefined;
  if (!rank || perm?.[0] !== 0) return undefined;
  return { rank, attributes: { perm: [0, 1, ...perm.slice(1).map((axis) => axis + 1)] } };
};

/** A matrix of constants on one side, or a matrix for each sequence on both. */
const MatMul: Row = (node, around) => {
  const [a, b] = [rankOf(node, around, 0), rankOf(node, around, 1)];
  const isMatrix = (input: number) => around.constants.get(node.inputs[input]!)?.dims.length === 2;
  if (a !== undefined && b === undefined) return a >= 2 && isMatrix(1) ? { rank: a } : undefined;
  if (a === undefined && b !== undefined) return b >= 3 && isMatrix(0) ? { rank: b } : undefined;
  return a === b && a! >= 3 ? { rank: a! } : undefined;
};

const POINTWISE = [
  ...["Identity", "Cast", "Neg", "Abs", "Sqrt", "Exp", "Log", "Reciprocal", "Sin", "Cos", "Erf", "Sign", "Floor"],
  ...[
    "Relu",
    "LeakyRelu",
    "Elu",
    "Gelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Tanh",
    "Softplus",
    "Softsign",
    "Clip",
  ],
  ...["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Where", "Greater", "Less", "Equal", "Not", "And", "Or"],
];
const ROWS: Readonly<Record<string, Row>> = {
  ...Object.fromEntries(POINTWISE.map((op) => [op, elementwise])),
  ...{ Concat: alongAxis(0), Softmax: alongAxis(-1), LogSoftmax: alongAxis(-1) },
  ...{ Split, Gather, Transpose, MatMul },
  ...{ Slice: axesInput(3, 0), Unsqueeze: axesInput(1, 1), Squeeze: axesInput(1, -1) },
  ...{ ReduceSum: Reduced, ReduceMean: Reduced, ReduceMax: Reduced, ReduceMin: Reduced },
};

/**
 * How nodes of a loop stand at all positions, by their names: those that the wanted tensors come from.
 * @param ranks of what is given at each position, in the loop
 * @returns undefined where one of them must stay in the loop
 */
export function spreadOf(
  nodes: readonly Node[],
  wanted: readonly string[],
  constants: ReadonlyMap<string, Constant>,
  ranks: ReadonlyMap<string, number>,
): ReadonlyMap<string, Spread> | undefined {
  const needed = neededFor(nodes, wanted, (name) => constants.has(name) || ranks.has(name));
  const known = new Map(ranks);
  const spread = new Map<string, Spread>();
  for (const node of nodes) {
    if (!needed.has(node)) continue;
    const own = node.domain === "" ? ROWS[node.op]?.(node, { constants, ranks: known }) : undefined;
    if (!own || own.rank < 1) return undefined;
    spread.set(node.name, own);
    for (const output of node.outputs) known.set(output, own.rank);
  }
  return wanted.every((name) => known.has(name) || constants.has(name)) ? spread : undefined;
}

/** Nodes from which tensors come, up to those that are given. */
function neededFor(nodes: readonly Node[], wanted: readonly string[], isGiven: (name: string) => boolean): Set<Node> {
  const [open, needed] = [new Set(wanted), new Set<Node>()];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((name) => open.has(name) && !isGiven(name))) continue;
    needed.add(node);
    for (const name of node.inputs) if (name) open.add(name);
  }
  return needed;
}

/**
 * Adds tensors of a loop at all positions.
 * @param given names in the graph of what is given at all positions, and of constants that are there
 * @returns the name of each tensor, which is added once
 */
export function spreader(
  b: Builder,
  nodes: readonly Node[],
  spread: ReadonlyMap<string, Spread>,
  constants: ReadonlyMap<string, Constant>,
  given: ReadonlyMap<string, string>,
): (name: string) => string {
  const made = new Map(given);
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const nameOf = (name: string): string => {
    const own = made.get(name);
    if (own !== undefined) return own;
    const constant = constants.get(name);
    if (constant) made.set(name, b.constant(name, constant.tensor()));
    else addNode(producers.get(name)!);
    return made.get(name)!;
  };
  const addNode = (node: Node) => {
    const { attributes = {}, numbers } = spread.get(node.name)!;
    const inputs = node.inputs.map((name, i) => {
      const other = numbers?.get(i);
      return other ? b.ints("axes", other) : name && nameOf(name);
    });
    const outputs = node.outputs.map((name) => (name ? b.name(name) : ""));
    b.copy(rewire(withAttributes(node, attributes), {}), inputs, outputs);
    for (const [i, name] of node.outputs.entries()) made.set(name, outputs[i]!);
  };
  return nameOf;
}
