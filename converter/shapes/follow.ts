/** Shapes and small whole numbers, followed from node to node: what each output is, from what is known of the inputs. */
import type { Graph, Node } from "../graph/graph.ts";
import { DataType, elementCount, type Tensor } from "../graph/tensor.ts";
import type { Known } from "./known.ts";
import { MANY_OUTPUTS, SHAPE_RULES } from "./shape-rules.ts";
import { type Numbers, VALUE_RULES } from "./values.ts";

/** Numbers of a tensor that are looked at. */
const MOST_NUMBERS = 64;

const UNKNOWN: Known = { dims: undefined, values: undefined };

/** What is known of a graph's constants, by name. */
export function constantsOf({ initializers }: Graph): Map<string, Known> {
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
  const rule = keyOf(node);
  const given = givenTo(node, known);
  return node.outputs.map((name, at) => {
    if (at === 0) return firstOf(node, rule, given);
    const dims =
      name && MANY_OUTPUTS.has(rule) ? SHAPE_RULES[rule]!(given, node.attributes, at, node.outputs.length) : undefined;
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
