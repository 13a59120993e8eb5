/**
 * Graphs as others export them: time in front of the batch, ids of int32, an old opset; and with a mask by length in front, or a
 * convolution of what is padded to an even length behind. What is drawn here is drawn apart: the graphs of all seeds stay what they are.
 */
import { type Builder, createBuilder, namesOf } from "../../converter/graph/build.ts";
import type { Model, ValueInfo } from "../../converter/graph/graph.ts";
import { renameTensors } from "../../converter/graph/rename.ts";
import { DataType, makeTensor, type Tensor } from "../../converter/graph/tensor.ts";
import { openModel } from "../../converter/ort/run.ts";
import { ATTENTION_MASK, POSITION_IDS } from "../../src/contract.ts";
import type { Converted } from "../converted.ts";
import { lowered, saysTheSame } from "../lowered.ts";
import { evenly, shownUntil } from "./by-length.ts";
import { type Feeds, inputsOf } from "./feeds.ts";
import type { FuzzGraph } from "./generate.ts";
import { type Random, random } from "./random.ts";

/** Inputs and outputs that the model has in another form: [n, batch, …]; int32. */
type Worn = NonNullable<FuzzGraph["worn"]>;

const [BATCH, LENGTH] = [2, 24];

/** The graph of a seed, for some seeds in another form. */
export async function worn(graph: FuzzGraph): Promise<FuzzGraph> {
  const r = random(graph.seed + 0x3a57);
  const own = graph.model === graph.reference && graph.length === undefined && !graph.masked;
  let given = graph;
  if (own && r.chance(0.3)) given = shownUntil(given, r);
  if (own && r.chance(0.25)) given = evenly(given, r);
  const int32 = new Set(
    given.model.graph.inputs
      .filter(isIds)
      .map(({ name }) => name)
      .filter(() => r.chance(0.4)),
  );
  const isOpen = given.length === undefined && !given.masked;
  const timeFirst = new Set(isOpen && r.chance(0.2) ? timed(given, r) : []);
  let { model } = given;
  for (const name of int32) model = entered(model, name, (b, x) => b.one("Cast", [x], { to: DataType.INT64 }), asInt32);
  for (const name of timeFirst) model = turned(model, name);
  const old = r.chance(0.4) ? await olderOf({ ...given, model, worn: { timeFirst, int32 } }, r) : undefined;
  const pieces = [
    ...given.pieces,
    ...(int32.size ? ["int32 ids"] : []),
    ...(timeFirst.size ? ["time first"] : []),
    ...(old ? [`opset ${old.opsets.get("")}`] : []),
  ];
  return { ...given, model: old ?? model, pieces, worn: { timeFirst, int32 } };
}

const isIds = ({ name, type, dims }: ValueInfo): boolean =>
  type === DataType.INT64 && dims?.length === 2 && name !== ATTENTION_MASK && name !== POSITION_IDS;

/** The first input, and outputs, whose axes are batch and time. */
function timed({ model, axes }: FuzzGraph, r: Random): string[] {
  const { inputs, outputs } = model.graph;
  const has = ({ name, dims = [] }: ValueInfo) => dims.length >= 2 && (axes[name] ?? 1) === 1;
  if (!has(inputs[0]!)) return [];
  return [inputs[0]!.name, ...outputs.filter((output) => has(output) && r.chance(0.8)).map(({ name }) => name)];
}

const asInt32 = (info: ValueInfo): ValueInfo => ({ ...info, type: DataType.INT32 });

/** An input in another form, brought into its own by nodes. */
function entered(
  model: Model,
  name: string,
  bring: (b: Builder, x: string) => string,
  other: (info: ValueInfo) => ValueInfo,
): Model {
  const b = createBuilder(model.opsets.get("")!, namesOf(model.graph));
  const own = bring(b, name);
  const graph = renameTensors(model.graph, new Map([[name, own]]));
  const inputs = graph.inputs.map((info) => (info.name === own ? other({ ...info, name }) : info));
  const initializers = new Map([...graph.initializers, ...b.initializers]);
  return { ...model, graph: { ...graph, inputs, initializers, nodes: [...b.nodes, ...graph.nodes] } };
}

/** An input or output with time in front of the batch. */
function turned(model: Model, name: string): Model {
  const rank = [...model.graph.inputs, ...model.graph.outputs].find((info) => info.name === name)!.dims!.length;
  const perm = [1, 0, ...Array.from({ length: rank - 2 }, (_, k) => k + 2)];
  const other = (info: ValueInfo): ValueInfo => ({ ...info, dims: perm.map((k) => info.dims![k]) });
  if (model.graph.inputs.some((info) => info.name === name))
    return entered(model, name, (b, x) => b.one("Transpose", [x], { perm }), other);
  const b = createBuilder(model.opsets.get("")!, namesOf(model.graph));
  const own = b.name("turned");
  const graph = renameTensors(model.graph, new Map([[name, own]]));
  b.add("Transpose", [own], { perm }, { outputs: [name] });
  const outputs = graph.outputs.map((info) => (info.name === own ? other({ ...info, name }) : info));
  return { ...model, graph: { ...graph, outputs, nodes: [...graph.nodes, ...b.nodes] } };
}

/** The model at opset 11 or 12, where its operators existed then and ONNX Runtime gives the same. */
async function olderOf(graph: FuzzGraph, r: Random): Promise<Model | undefined> {
  const { batch = BATCH, length = LENGTH, model } = graph;
  const original = await openModel(model).catch(() => undefined);
  if (!original) return undefined;
  try {
    const feeds = inForm(inputsOf(graph, { batch, length }, 1, r), graph.worn);
    const inputs = Object.entries(feeds).map(([name, tensor]) => ({ name, tensor }));
    return await saysTheSame(original, lowered(model, r.pick([11, 12])), [{ inputs }]).catch(() => undefined);
  } finally {
    await original.close();
  }
}

/** Feeds of the reference as the model takes them. */
function inForm(feeds: Feeds, form: Worn | undefined): Feeds {
  const of = ([name, tensor]: [string, Tensor]): [string, Tensor] => {
    const typed = form?.int32.has(name)
      ? makeTensor(DataType.INT32, tensor.dims, Int32Array.from(tensor.data as BigInt64Array, Number))
      : tensor;
    return [name, form?.timeFirst.has(name) ? swapped(typed) : typed];
  };
  return Object.fromEntries(Object.entries(feeds).map(of));
}

/** The first two axes of a tensor in the other order. */
function swapped({ type, dims, data }: Tensor): Tensor {
  const [a = 1, c = 1, ...rest] = dims;
  const size = rest.reduce((product, each) => product * each, 1);
  const from = data as Float32Array;
  const made = new (from.constructor as Float32ArrayConstructor)(from.length);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < c; j++) made.set(from.subarray((i * c + j) * size, (i * c + j + 1) * size), (j * a + i) * size);
  return makeTensor(type, [c, a, ...rest], made);
}

/** A converted model that is fed and read in the reference's form. */
export function inReferenceForm(converted: Converted, form: Worn | undefined): Converted {
  if (!form) return converted;
  return {
    ...converted,
    run: async (feeds, cuts) => {
      const outputs = await converted.run(inForm(feeds, form), cuts);
      const back = Object.entries(outputs).map(([name, tensor]) => [
        name,
        form.timeFirst.has(name) ? swapped(tensor) : tensor,
      ]);
      return Object.fromEntries(back);
    },
  };
}

/** Time axes of the model's own inputs and outputs. */
export const axesOfForm = ({ axes, worn: form }: FuzzGraph): FuzzGraph["axes"] => ({
  ...axes,
  ...Object.fromEntries([...(form?.timeFirst ?? [])].map((name) => [name, 0])),
});
