/** Models of one sequence, whose inputs and outputs have no batch: the same with a batch in front of each. */

import { createBuilder } from "../graph/build.ts";
import { cut } from "../graph/cut.ts";
import type { Model, Node, ValueInfo } from "../graph/graph.ts";
import { readsOf } from "../graph/reads.ts";
import { withFields } from "../graph/schema.ts";
import { DataType, makeTensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { ROWS } from "./rows.ts";

/** Sizes of open axes in the runs that tell how many axes a tensor has, and whether both graphs give the same. */
const LENGTHS = [7, 12];
const ROWS_TRIED = 3;
const AGREE = 1e-5;

/**
 * The model with a batch of any size in front of every input and output, as was seen by running both.
 * @returns undefined where an operator's meaning with a batch is not known, or where the two differ
 */
export async function withBatch(model: Model): Promise<Model | undefined> {
  const { graph } = model;
  const types = new Set([DataType.FLOAT, DataType.INT64, DataType.INT32] as number[]);
  const isKnown = ({ dims, type }: ValueInfo) => dims !== undefined && types.has(type);
  if (
    !graph.inputs.every(isKnown) ||
    graph.nodes.some((node) => readsOf(node).size > new Set(node.inputs.filter(Boolean)).size)
  )
    return undefined;
  const seen = await tensorsOf(model);
  if (!seen) return undefined;
  const b = createBuilder(model.opsets.get("") ?? 13, tensorNames(model));
  const batched = new Set(graph.inputs.map(({ name }) => name));
  // what comes from no input is what it was in the run, however the exporter writes it: the paddings of TorchScript, say
  const given = new Set(batched);
  for (const node of graph.nodes)
    if (node.inputs.some((name) => given.has(name))) for (const name of node.outputs) given.add(name);
  const site = (node: Node) => ({
    ...{ node, b, isBatched: (name: string) => batched.has(name) },
    rankOf: (name: string) => (seen.get(name) ?? graph.initializers.get(name))?.dims.length,
    constantOf: (name: string) =>
      given.has(name) ? undefined : (graph.initializers.get(name)?.tensor() ?? seen.get(name)),
    dimsOf: (name: string) => seen.get(name)?.dims,
  });
  for (const node of graph.nodes) {
    if (!node.inputs.some((name) => batched.has(name))) {
      b.copy(node, node.inputs, node.outputs);
      continue;
    }
    if (node.domain !== "" || !ROWS[node.op]?.(site(node))) return undefined;
    if (node.op !== "Shape") for (const name of node.outputs) batched.add(name);
  }
  if (!graph.outputs.every(({ name }) => batched.has(name))) return undefined;
  const open = (info: ValueInfo): ValueInfo => ({
    name: info.name,
    type: info.type,
    dims: info.dims && ["batch_size", ...info.dims],
  });
  const made: Model = {
    ...model,
    graph: {
      ...{ inputs: graph.inputs.map(open), outputs: graph.outputs.map(open), nodes: b.nodes },
      initializers: new Map([...graph.initializers, ...b.initializers]),
    },
    // declared shapes of what is between lack the batch
    proto: withFields(model.proto, { graph: withFields(model.proto.graph ?? {}, { valueInfo: [] }) }),
  };
  return (await isSame(model, made)) ? made : undefined;
}

/** Nodes keep their names. */
const tensorNames = ({ graph }: Model): string[] => [
  ...graph.inputs.map(({ name }) => name),
  ...graph.initializers.keys(),
  ...graph.nodes.flatMap(({ outputs }) => outputs),
];

/** Inputs of one sequence with as many positions, which differ from place to place. */
function inputsOf({ graph }: Model, length: number, row: number): Record<string, Tensor> {
  return Object.fromEntries(
    graph.inputs.map(({ name, type, dims }) => {
      const sizes = dims!.map((size) => (typeof size === "number" ? size : length));
      const count = sizes.reduce((a, c) => a * c, 1);
      const values = Array.from({ length: count }, (_, k) => Math.sin((k + 1) * (row + 1) * 0.7));
      if (type === DataType.FLOAT) return [name, makeTensor(type, sizes, Float32Array.from(values))];
      const bits = values.map((value) => (value > 0 ? 1 : 0));
      if (type === DataType.INT32) return [name, makeTensor(type, sizes, Int32Array.from(bits))];
      return [name, makeTensor(type, sizes, BigInt64Array.from(bits, BigInt))];
    }),
  );
}

/** Every tensor of a run; undefined where the graph does not run so. */
async function tensorsOf(model: Model): Promise<Map<string, Tensor> | undefined> {
  const names = model.graph.nodes.flatMap((node) => node.outputs).filter(Boolean);
  const runner = await openModel(cut(model, model.graph.inputs, names), { optimization: "disabled" }).catch(
    () => undefined,
  );
  const feeds = inputsOf(model, LENGTHS[0]!, 0);
  const run = await runner?.run(feeds).catch(() => undefined);
  await runner?.close();
  return run && new Map([...Object.entries(feeds), ...Object.entries(run)]);
}

/** Whether each row of a batch gives what the sequence gives alone. */
async function isSame(model: Model, made: Model): Promise<boolean> {
  const [alone, together] = [await openModel(model), await openModel(made).catch(() => undefined)];
  try {
    if (!together) return false;
    for (const length of LENGTHS) {
      const rows = Array.from({ length: ROWS_TRIED }, (_, row) => inputsOf(model, length, row));
      const got = await together.run(
        Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, stacked(rows.map((row) => row[name]!))])),
      );
      for (const [row, feeds] of rows.entries())
        for (const [name, tensor] of Object.entries(await alone.run(feeds))) {
          if (got[name]?.dims.join() !== [ROWS_TRIED, ...tensor.dims].join()) return false;
          const [wanted, all] = [toNumbers(tensor), toNumbers(got[name])];
          const scale = Math.max(1e-6, ...Array.from(wanted, Math.abs));
          for (const [k, value] of wanted.entries())
            if (!(Math.abs(all[row * wanted.length + k]! - value) <= AGREE * scale)) return false;
        }
    }
    return true;
  } catch {
    return false;
  } finally {
    await Promise.all([alone.close(), together?.close()]);
  }
}

function stacked(rows: readonly Tensor[]): Tensor {
  const { type, dims } = rows[0]!;
  const sizes = [rows.length, ...dims];
  if (type === DataType.INT64)
    return makeTensor(type, sizes, BigInt64Array.from(rows.flatMap(({ data }) => [...(data as BigInt64Array)])));
  const values = rows.flatMap((row) => [...toNumbers(row)]);
  return makeTensor(type, sizes, type === DataType.FLOAT ? Float32Array.from(values) : Int32Array.from(values));
}
