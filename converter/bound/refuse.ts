/**
 * What a run would make, estimated before it: one number in a file is enough to ask for more memory than there is, or for
 * a loop without end. What is not followed is left to ONNX Runtime.
 */
import { LongConvError } from "../../src/errors.ts";
import { initializerBytes, sizeOf } from "../file/encode.ts";
import { type Model, type Node, whereOf } from "../graph/graph.ts";
import type { GraphProto } from "../graph/proto.ts";
import { subgraphsOf } from "../graph/reads.ts";
import { elementCount } from "../graph/tensor.ts";
import { constantsOf, givenTo, outputsOf } from "../shapes/follow.ts";
import type { Known } from "../shapes/known.ts";
import { einsumShapes } from "../shapes/products.ts";
import type { Numbers } from "../shapes/values.ts";

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
const MOST_TRIPS = 2 ** 16;

/**
 * @param shapes of the inputs, by name, as the model will be run
 * @throws LongConvError too-large with the node whose tensor takes more memory than a model of this size may;
 *   control-flow with a loop of which no end is known
 */
export function refuseUnbounded(model: Model, shapes: ReadonlyMap<string, Numbers>, { one, all } = AT_FIRST): void {
  const { graph } = model;
  const known = constantsOf(graph);
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
    const outputs = outputsOf(node, known).map((each) => bounded(each, node, known));
    for (const [i, each] of outputs.entries()) if (node.outputs[i]) known.set(node.outputs[i], each);
    const where = { ...whereOf(model, node), tensor: node.outputs[0] };
    for (const dims of onTheWay(node, known)) {
      const bytes = BYTES_OF_A_NUMBER * elementCount(dims);
      if (bytes > most) throw tooLarge("what it makes on the way", dims, bytes, where);
    }
    const dims = outputs[0]?.dims;
    if (!dims) continue;
    const bytes = BYTES_OF_A_NUMBER * elementCount(dims);
    inAll += bytes;
    if (bytes > most) throw tooLarge("it", dims, bytes, where);
    if (inAll > mostInAll) throw tooLarge("it, with all before it,", dims, inAll, where);
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

/** A product of several tensors is made pair by pair. */
const onTheWay = (node: Node, known: ReadonlyMap<string, Known>) =>
  node.op === "Einsum" && node.domain === ""
    ? einsumShapes(givenTo(node, known), String(node.attributes.equation ?? "")).slice(0, -1)
    : [];

/** What is not followed is unknown, but a slice is no longer than what it is cut from. */
function bounded({ dims, values }: Known, node: Node, known: ReadonlyMap<string, Known>): Known {
  const numbers = values?.some(Number.isNaN) ? undefined : values;
  if (!dims?.some(Number.isNaN)) return { dims, values: numbers };
  const whole = node.op === "Slice" ? known.get(node.inputs[0]!)?.dims : undefined;
  return { dims: whole && dims.map((size, k) => (Number.isNaN(size) ? whole[k]! : size)), values: numbers };
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
