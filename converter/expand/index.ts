/** Fused operators, and products of pairs, written out in operators that are followed through time: one row an operator. */
import { ATTENTION_MASK } from "../../src/contract.ts";
import { createBuilder, namesOf, patched } from "../graph/build.ts";
import { indexGraph, type Model, type Node } from "../graph/graph.ts";
import { topological } from "../graph/order.ts";
import { DataType, toNumbers } from "../graph/tensor.ts";
import { floatTypeOf } from "../ort/widen.ts";
import { type Declared, type Sizes, sizesIn, type Trials, trialsOf } from "../shapes/sizes.ts";
import { Attention } from "./attention.ts";
import { Concat } from "./edge.ts";
import { Einsum } from "./einsum.ts";
import type { Expansion, Site } from "./expansion.ts";
import { FusedConv } from "./fused-conv.ts";
import { GroupQueryAttention } from "./group-query.ts";
import { MultiHeadAttention } from "./multi-head.ts";
import { Expand, Reshape } from "./own-shape.ts";
import { PackedAttention } from "./packed.ts";
import { GatherND } from "./ranges.ts";
import { Recurrent } from "./recurrent.ts";
import { BROADCAST, Broadcast, Slice as cutCrossing } from "./repeated.ts";
import { FusedRotaryEmbedding, RotaryEmbedding } from "./rotary.ts";
import { MatMul as runningSum } from "./running.ts";
import { Slice as cutSink } from "./sink.ts";
import { Slice as cutSkew, MatMul as skewed } from "./skew.ts";
import { Cast } from "./there-and-back.ts";
import { unshared } from "./unshare.ts";

/** By `domain::Name` outside the standard domain. */
export const EXPANSIONS: Readonly<Record<string, Expansion>> = {
  ...Object.fromEntries(BROADCAST.map((op) => [op, Broadcast])),
  Attention,
  Cast,
  Concat,
  Einsum,
  Expand,
  GatherND,
  GRU: Recurrent,
  LSTM: Recurrent,
  MatMul: (b, node, site) => runningSum(b, node, site) || skewed(b, node, site),
  RNN: Recurrent,
  Reshape,
  RotaryEmbedding,
  Slice: (b, node, site) => cutSink(b, node, site) || cutCrossing(b, node, site) || cutSkew(b, node, site),
  "com.microsoft::Attention": PackedAttention,
  "com.microsoft::FusedConv": FusedConv,
  "com.microsoft::GroupQueryAttention": GroupQueryAttention,
  "com.microsoft::MultiHeadAttention": MultiHeadAttention,
  "com.microsoft::RotaryEmbedding": FusedRotaryEmbedding,
};

/** The model with those operators written out that have a row here and no state of their own. */
export function expanded(model: Model): Model {
  const { graph } = model;
  const of = ({ op, domain }: Node) => EXPANSIONS[domain === "" ? op : `${domain}::${op}`];
  if (!graph.nodes.some(of) && !graph.inputs.some(({ name }) => name === ATTENTION_MASK)) return model;
  const b = createBuilder(model.opsets.get("") ?? 23, namesOf(graph));
  const sizes = new Map([
    ...(model.proto.graph?.valueInfo ?? []).map((info) => {
      const dims = info.type?.tensorType?.shape?.dim;
      return [info.name ?? "", dims?.map((dim) => dim.dimParam || Number(dim.dimValue ?? Number.NaN))] as const;
    }),
    ...graph.inputs.map(({ name, dims }) => [name, dims] as const),
  ]);
  const types = new Map(
    (model.proto.graph?.valueInfo ?? []).map((info) => [info.name ?? "", info.type?.tensorType?.elemType]),
  );
  const { producer, consumers, outputs } = indexGraph(graph);
  const numbersOf = (tensor: string) => {
    const constant = graph.initializers.get(tensor);
    return constant && [...toNumbers(constant.tensor())];
  };
  const producerOf = (tensor: string) => producer.get(tensor);
  const infos = new Map([...graph.inputs, ...graph.outputs].map((info) => [info.name, info]));
  const said = (tensor: string): Declared | undefined => sizes.get(tensor) ?? infos.get(tensor)?.dims;
  let followed: Trials | undefined;
  const trials = () => {
    followed ??= trialsOf(graph, said);
    return followed;
  };
  let made: ReadonlyMap<string, Sizes> | undefined;
  const site: Site = {
    producerOf,
    consumersOf: (tensor) => consumers.get(tensor) ?? [],
    isInput: (tensor) => graph.inputs.some(({ name }) => name === tensor),
    isRead: (tensor) => outputs.has(tensor) || consumers.has(tensor),
    sizesOf: (tensor) => sizes.get(tensor),
    numbersOf,
    tensorOf: (tensor) => graph.initializers.get(tensor)?.tensor(),
    numberOf: (tensor) => {
      const constant = graph.initializers.get(tensor);
      return constant?.dims.every((size) => size === 1) ? toNumbers(constant.tensor())[0] : undefined;
    },
    typeOf: (tensor) => (graph.initializers.get(tensor) ?? infos.get(tensor))?.type,
    isBool: (tensor) => (types.get(tensor) ?? floatTypeOf(model, tensor)) === DataType.BOOL,
    dimsOf: (tensor) => {
      made ??= sizesIn(trials());
      return made.get(tensor);
    },
    trialsOf: (tensor) => trials().map((known) => known.get(tensor) ?? { dims: undefined, values: undefined }),
  };
  const unwritten = new Map<string, string>();
  const nodes = graph.nodes.flatMap((node) => {
    const { made: done, nodes: written } = b.added(() => of(node)?.(b, node, site), node);
    if (typeof done === "string") {
      unwritten.set(node.outputs[0]!, done);
      return [node];
    }
    return done ? written : [node];
  });
  const apart = unshared(b, graph, nodes);
  if (b.nodes.length === 0 && apart.length === graph.nodes.length)
    return unwritten.size > 0 ? { ...model, unwritten } : model;
  const whole = patched(graph, b, apart);
  const given = [...whole.initializers.keys(), ...graph.inputs.map(({ name }) => name)];
  const wanted = graph.outputs.map(({ name }) => name);
  return {
    ...model,
    unwritten,
    graph: { ...whole, nodes: topological(apart, given, wanted, model.file) },
  };
}
