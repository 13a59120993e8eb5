/** Fused operators, and products of pairs, written out in operators that are followed through time: one row an operator. */
import { createBuilder, namesOf } from "../graph/build.ts";
import type { Model, Node } from "../graph/graph.ts";
import { topological } from "../graph/order.ts";
import { DataType } from "../graph/tensor.ts";
import { floatTypeOf } from "../ort/widen.ts";
import { Attention } from "./attention.ts";
import { Einsum } from "./einsum.ts";
import type { Expansion, Site } from "./expansion.ts";
import { MultiHeadAttention } from "./multi-head.ts";
import { Recurrent } from "./recurrent.ts";
import { RotaryEmbedding } from "./rotary.ts";

/** By `domain::Name` outside the standard domain. */
const EXPANSIONS: Readonly<Record<string, Expansion>> = {
  Attention,
  Einsum,
  GRU: Recurrent,
  LSTM: Recurrent,
  RNN: Recurrent,
  RotaryEmbedding,
  "com.microsoft::MultiHeadAttention": MultiHeadAttention,
};

/** The model with those operators written out that have a row here and no state of their own. */
export function expanded(model: Model): Model {
  const { graph } = model;
  const of = ({ op, domain }: Node) => EXPANSIONS[domain === "" ? op : `${domain}::${op}`];
  if (!graph.nodes.some(of)) return model;
  const b = createBuilder(model.opsets.get("") ?? 23, namesOf(graph));
  const declared = new Map(
    [...(model.proto.graph?.valueInfo ?? [])].map((info) => [
      info.name ?? "",
      info.type?.tensorType?.shape?.dim?.map((dim) => (dim.dimParam ? undefined : Number(dim.dimValue))),
    ]),
  );
  const types = new Map(
    (model.proto.graph?.valueInfo ?? []).map((info) => [info.name ?? "", info.type?.tensorType?.elemType]),
  );
  const site: Site = {
    isBool: (tensor) => (types.get(tensor) ?? floatTypeOf(model, tensor)) === DataType.BOOL,
    dimsOf: (tensor) => {
      const info = [...graph.inputs, ...graph.outputs].find(({ name }) => name === tensor);
      return declared.get(tensor) ?? info?.dims?.map((dim) => (typeof dim === "number" ? dim : undefined));
    },
  };
  const nodes = graph.nodes.flatMap((node) => {
    const before = b.nodes.length;
    b.from(node);
    const done = of(node)?.(b, node, site);
    b.from(undefined);
    return done ? b.nodes.slice(before) : [node];
  });
  if (b.nodes.length === 0) return model;
  const initializers = new Map([...graph.initializers, ...b.initializers]);
  const given = [...initializers.keys(), ...graph.inputs.map(({ name }) => name)];
  const wanted = graph.outputs.map(({ name }) => name);
  return { ...model, graph: { ...graph, initializers, nodes: topological(nodes, given, wanted, model.file) } };
}
