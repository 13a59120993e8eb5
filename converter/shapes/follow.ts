/** Shapes and small whole numbers, followed from node to node: what each output is, from what is known of the inputs. */
import { fromFront } from "../graph/axis.ts";
import type { Node } from "../graph/graph.ts";
import { nodeFromProto } from "../graph/node.ts";
import type { GraphProto } from "../graph/proto.ts";
import { DataType, elementCount, type Tensor } from "../graph/tensor.ts";
import { type Known, listOf } from "./known.ts";
import { MANY_OUTPUTS, SHAPE_RULES } from "./shape-rules.ts";
import { type Numbers, VALUE_RULES } from "./values.ts";

/** Numbers of a tensor that are looked at. */
const MOST_NUMBERS = 64;

/** A constant: its shape and type are known, its values are read when asked for. */
interface Constant {
  readonly dims: readonly number[];
  readonly type: number;
  tensor(): Tensor;
}

const UNKNOWN: Known = { dims: undefined, values: undefined };

/** What is known of a graph's constants, by name. */
export function constantsOf({
  initializers,
}: {
  readonly initializers: ReadonlyMap<string, Constant>;
}): Map<string, Known> {
  const known = new Map<string, Known>();
  for (const [name, initializer] of initializers) {
    const { dims } = initializer;
    const small = dims.length <= 1 && elementCount(dims) <= MOST_NUMBERS && initializer.type !== DataType.STRING;
    known.set(name, { dims, values: small ? numbersOf(() => initializer.tensor()) : undefined });
  }
  return known;
}

/** What is known of a node's inputs; undefined for one that is left out. */
export const givenTo = ({ inputs }: Node, known: ReadonlyMap<string, Known>): (Known | undefined)[] =>
  inputs.map((name) => (name ? (known.get(name) ?? UNKNOWN) : undefined));

/** What is known of each output of a node. */
export function outputsOf(node: Node, known: ReadonlyMap<string, Known>): readonly Known[] {
  if (node.op === "Scan" && node.domain === "") return scannedOf(node, known);
  const rule = keyOf(node);
  const given = givenTo(node, known);
  return node.outputs.map((name, at) => {
    if (at === 0) return firstOf(node, rule, given);
    const dims =
      name && MANY_OUTPUTS.has(rule) ? SHAPE_RULES[rule]!(given, node.attributes, at, node.outputs.length) : undefined;
    return { dims, values: undefined };
  });
}

/** What a graph makes of what is known around it and of its inputs; its nodes are in order. */
export function known(nodes: readonly Node[], around: ReadonlyMap<string, Known>): Map<string, Known> {
  const all = new Map(around);
  for (const node of nodes)
    for (const [i, each] of outputsOf(node, all).entries()) if (node.outputs[i]) all.set(node.outputs[i], each);
  return all;
}

/** Of a Scan: states as they begin, and what each turn gives, for as many turns as there are rows. */
function scannedOf(node: Node, around: ReadonlyMap<string, Known>): readonly Known[] {
  const { body, num_scan_inputs: count, scan_input_axes: inAxes, scan_output_axes: outAxes } = node.attributes;
  const graph = body as GraphProto;
  const given = givenTo(node, around);
  const states = given.length - Number(count);
  const axisOf = (axes: unknown, k: number, rank: number) => fromFront(Number(listOf(axes)?.[k] ?? 0), rank);
  const rows = given
    .slice(states)
    .map((each, k) => ({ dims: each?.dims, at: axisOf(inAxes, k, each?.dims?.length ?? 0) }));
  const inputs = [
    ...given.slice(0, states).map((each) => each?.dims),
    ...rows.map(({ dims, at }) => dims?.toSpliced(at, 1)),
  ];
  const inside = new Map(around);
  for (const [k, { name }] of (graph.input ?? []).entries()) inside.set(name!, { dims: inputs[k], values: undefined });
  const made = known(
    (graph.node ?? []).map((each, k) => nodeFromProto(each, `${k}`)),
    inside,
  );
  const turns = rows.map(({ dims, at }) => dims?.[at]).find((size) => size !== undefined) ?? Number.NaN;
  return node.outputs.map((_, k) => {
    const own = k < states ? given[k]?.dims : made.get(graph.output?.[k]?.name ?? "")?.dims;
    const dims = k < states || !own ? own : own.toSpliced(axisOf(outAxes, k - states, own.length + 1), 0, turns);
    return { dims, values: undefined };
  });
}

const keyOf = ({ op, domain }: Node): string => (domain === "" ? op : `${domain}::${op}`);

function firstOf({ attributes, outputs }: Node, rule: string, given: readonly (Known | undefined)[]): Known {
  if (rule === "Constant") return constantOf(attributes.value ?? attributes.value_int ?? attributes.value_ints);
  const dims = SHAPE_RULES[rule]?.(given, attributes, 0, outputs.length);
  if (rule === "Shape") {
    const { start = 0, end } = attributes;
    return { dims, values: given[0]?.dims?.slice(Number(start), end === undefined ? undefined : Number(end)) };
  }
  if (rule === "Size") return { dims: [], values: given[0]?.dims && [elementCount(given[0].dims)] };
  const values = given.filter((each) => each).map((each) => each!.values);
  const isSmall = values.length > 0 && values.every((each) => each) && (dims === undefined || dims.length <= 1);
  const numbers = isSmall ? VALUE_RULES[rule]?.(values as Numbers[], attributes) : undefined;
  const isKept = numbers && numbers.length <= MOST_NUMBERS && numbers.every(isSize);
  return { dims, values: isKept ? numbers : undefined };
}

/** A rule may ask for more than a list has. */
const isSize = (value: number | undefined): boolean => value !== undefined && Math.abs(value) !== Infinity;

function constantOf(value: unknown): Known {
  if (typeof value === "number") return { dims: [], values: [value] };
  if (Array.isArray(value)) return { dims: [value.length], values: value as Numbers };
  if (typeof value !== "object" || value === null || !("data" in value)) return UNKNOWN;
  const tensor = value as Tensor;
  const small = tensor.dims.length <= 1 && tensor.data.length <= MOST_NUMBERS;
  return { dims: tensor.dims, values: small ? numbersOf(() => tensor) : undefined };
}

/** Numbers of types that sizes come in. */
function numbersOf(tensor: () => Tensor): Numbers | undefined {
  const { type, data } = tensor();
  const { FLOAT, DOUBLE, INT32, INT64, BOOL } = DataType;
  return [FLOAT, DOUBLE, INT32, INT64, BOOL].some((each) => each === type)
    ? Array.from(data as ArrayLike<number | bigint>, Number)
    : undefined;
}
