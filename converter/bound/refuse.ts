/**
 * What a run would make, estimated before it: one number in a file is enough to ask for more memory than there is, or for
 * a loop without end. What is not followed is left to ONNX Runtime.
 */
import { LongConvError } from "../../src/errors.ts";
import { initializerBytes, sizeOf } from "../file/encode.ts";
import { type Model, type Node, whereOf } from "../graph/graph.ts";
import type { GraphProto } from "../graph/proto.ts";
import { subgraphsOf } from "../graph/reads.ts";
import { DataType, elementCount, type Tensor } from "../graph/tensor.ts";
import type { Known } from "./known.ts";
import { einsumShapes } from "./products.ts";
import { MANY_OUTPUTS, SHAPE_RULES } from "./shape-rules.ts";
import { type Numbers, VALUE_RULES } from "./values.ts";

/** What one tensor, and all together, may take where a model's weights are not larger. */
export interface Bound {
  readonly one: number;
  readonly all: number;
}

/** At the short lengths at which a model is run first. */
const AT_FIRST: Bound = { one: 2 ** 29, all: 2 ** 31 };
/** Where it is tried at many lengths, only to see whether it runs. */
export const IN_TRIALS: Bound = { one: 2 ** 26, all: 2 ** 28 };
/** Times the weights that the computed tensors may take. */
const TIMES_WEIGHTS = 4;
const BYTES_OF_A_NUMBER = 4;
/** Numbers of a tensor that are looked at. */
const MOST_NUMBERS = 64;
const MOST_TRIPS = 2 ** 16;

/**
 * @param shapes of the inputs, by name, as the model will be run
 * @throws LongConvError too-large with the node whose tensor takes more memory than a model of this size may;
 *   control-flow with a loop of which no end is known
 */
export function refuseUnbounded(model: Model, shapes: ReadonlyMap<string, Numbers>, { one, all } = AT_FIRST): void {
  const { graph } = model;
  const known = new Map<string, Known>();
  for (const [name, initializer] of graph.initializers) {
    const { dims } = initializer;
    const small = dims.length <= 1 && elementCount(dims) <= MOST_NUMBERS && initializer.type !== DataType.STRING;
    known.set(name, { dims, values: small ? numbersOf(() => initializer.tensor()) : undefined });
  }
  const largest = Math.max(0, ...[...graph.initializers.values()].map(sizeOf));
  const most = Math.max(one, TIMES_WEIGHTS * largest);
  const mostInAll = Math.max(all, TIMES_WEIGHTS * initializerBytes(model));
  let inAll = 0;
  for (const [name, dims] of shapes) {
    known.set(name, { dims, values: undefined });
    const bytes = BYTES_OF_A_NUMBER * elementCount(dims);
    if (bytes > most) throw tooLarge(`input '${name}'`, dims, bytes, { file: model.file || undefined, tensor: name });
    inAll += bytes;
  }
  for (const node of graph.nodes) {
    refuseLoop(model, node, known);
    const made = outputOf(node, known);
    if (node.outputs[0]) known.set(node.outputs[0], made);
    for (const [name, each] of otherOutputs(node, known)) known.set(name, each);
    const where = { ...whereOf(model, node), tensor: node.outputs[0] };
    for (const dims of onTheWay(node, known)) {
      const bytes = BYTES_OF_A_NUMBER * elementCount(dims);
      if (bytes > most) throw tooLarge("what it makes on the way", dims, bytes, where);
    }
    if (!made.dims) continue;
    const bytes = BYTES_OF_A_NUMBER * elementCount(made.dims);
    inAll += bytes;
    if (bytes > most) throw tooLarge("it", made.dims, bytes, where);
    if (inAll > mostInAll) throw tooLarge("it, with all before it,", made.dims, inAll, where);
  }
}

const tooLarge = (what: string, dims: Numbers, bytes: number, where: LongConvError["where"]): LongConvError =>
  new LongConvError(
    "too-large",
    `${what} would take ${gigabytes(bytes)} GB already at a short length: its shape is [${dims.join(", ")}]`,
    where,
    "Look at the constants that its size is made of; export the model with a smaller batch or a dynamic one.",
  );

const gigabytes = (bytes: number): string => (bytes < 1e15 ? (bytes / 1e9).toFixed(1) : "over a million");

const UNKNOWN: Known = { dims: undefined, values: undefined };

const givenTo = ({ inputs }: Node, known: ReadonlyMap<string, Known>): (Known | undefined)[] =>
  inputs.map((name) => (name ? (known.get(name) ?? UNKNOWN) : undefined));

/** A product of several tensors is made pair by pair. */
const onTheWay = (node: Node, known: ReadonlyMap<string, Known>) =>
  node.op === "Einsum" && node.domain === ""
    ? einsumShapes(givenTo(node, known), String(node.attributes.equation ?? "")).slice(0, -1)
    : [];

function otherOutputs(node: Node, known: ReadonlyMap<string, Known>): [name: string, Known][] {
  if (node.domain !== "" || !MANY_OUTPUTS.has(node.op)) return [];
  const given = givenTo(node, known);
  return node.outputs.flatMap((name, at) => {
    const dims = at > 0 && name ? SHAPE_RULES[node.op]!(given, node.attributes, at) : undefined;
    return dims ? [[name, { dims, values: undefined }] as const] : [];
  }) as [string, Known][];
}

function outputOf(node: Node, known: ReadonlyMap<string, Known>): Known {
  const { op, domain, attributes } = node;
  if (domain !== "") return UNKNOWN;
  const given = givenTo(node, known);
  if (op === "Constant") return constantOf(attributes.value ?? attributes.value_int ?? attributes.value_ints);
  const dims = SHAPE_RULES[op]?.(given, attributes, 0);
  if (op === "Shape") {
    const { start = 0, end } = attributes;
    return { dims, values: given[0]?.dims?.slice(Number(start), end === undefined ? undefined : Number(end)) };
  }
  if (op === "Size") return { dims: [], values: given[0]?.dims && [elementCount(given[0].dims)] };
  const values = given.filter((each) => each).map((each) => each!.values);
  const isSmall = values.length > 0 && values.every((each) => each) && (dims === undefined || dims.length <= 1);
  const numbers = isSmall ? VALUE_RULES[op]?.(values as Numbers[], attributes) : undefined;
  return {
    dims,
    values: numbers && numbers.length <= MOST_NUMBERS && numbers.every(Number.isFinite) ? numbers : undefined,
  };
}

function constantOf(value: unknown): Known {
  if (typeof value === "number") return { dims: [], values: [value] };
  if (Array.isArray(value)) return { dims: [value.length], values: value as Numbers };
  if (typeof value !== "object" || value === null || !("data" in value)) return { dims: undefined, values: undefined };
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

/** A loop must say how often it runs, in a number that is known beforehand; inside other graphs no number is. */
function refuseLoop(model: Model, node: Node, known: ReadonlyMap<string, Known>): void {
  const trips = known.get(node.inputs[0] ?? "")?.values?.[0];
  const isLoop = node.op === "Loop" && node.domain === "";
  const inner = (node.proto.attribute ?? []).flatMap(subgraphsOf).some(hasLoop);
  if (!inner && (!isLoop || (trips !== undefined && trips <= MOST_TRIPS))) return;
  const often = trips === undefined || inner ? "as often as its body says" : `${trips} times`;
  const reason = `is control flow, which is not followed: a loop that runs ${often} is not run either`;
  const remedy = "Export the model without it (trace instead of script).";
  throw new LongConvError("control-flow", reason, whereOf(model, node), remedy);
}

const hasLoop = (graph: GraphProto): boolean =>
  (graph.node ?? []).some(
    (node) => node.opType === "Loop" || (node.attribute ?? []).flatMap(subgraphsOf).some((inner) => hasLoop(inner)),
  );
