/** Models back to ONNX messages: what was not changed is written as it was read. */

import { checkArguments } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Initializer, Model, Node } from "../graph/graph.ts";
import type { ModelProto, NodeProto, TensorProto } from "../graph/proto.ts";
import { encodeMessage, withFields } from "../graph/schema.ts";
import { byteSizeOf, DataType } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { opsetsOf } from "./read.ts";

/** Protobuf's limit for one message. */
export const MESSAGE_LIMIT_BYTES = 2 ** 31 - 1;

/**
 * Serializes a model with all its values inside.
 * @throws LongConvError `file-unwritable` beyond 2 GB
 */
export function encodeModel(model: Model): Uint8Array {
  checkArguments({ model: ["model", model] });
  refuseTooLarge(model, initializerBytes(model));
  const bytes = encodeMessage("ModelProto", modelToProto(model, embedded));
  refuseTooLarge(model, bytes.length);
  return bytes;
}

/** @throws LongConvError `file-unwritable` where so many bytes do not fit into one message */
export function refuseTooLarge(model: Model, bytes: number): void {
  if (bytes <= MESSAGE_LIMIT_BYTES) return;
  const remedy = "Write it to a file with external data.";
  const reason = `${(bytes / 1e9).toFixed(1)} GB do not fit into one ONNX message, which holds 2 GB`;
  throw new LongConvError("file-unwritable", reason, { file: model.file || undefined }, remedy);
}

/** Bytes that the values of all initializers take. */
export function initializerBytes(model: Model): number {
  let total = 0;
  for (const initializer of model.graph.initializers.values()) total += sizeOf(initializer);
  return total;
}

/** Bytes that an initializer's values take. */
export function sizeOf(initializer: Initializer): number {
  if (initializer.type !== DataType.STRING) return byteSizeOf(initializer.type, initializer.dims);
  return (initializer.proto.stringData ?? []).reduce((sum, text) => sum + text.length, 0);
}

/** An initializer's message with its values inside. */
export function embedded(initializer: Initializer): TensorProto {
  if (!initializer.external) return named(initializer);
  const proto = withFields(named(initializer), { externalData: [], rawData: initializer.bytes() });
  delete proto.dataLocation;
  return proto;
}

/** An initializer's message under the initializer's own name. */
export function named({ proto, name }: Initializer): TensorProto {
  return proto.name === name ? proto : withFields(proto, { name });
}

/**
 * The model as a message. Shapes declared for tensors that no longer exist are dropped.
 * @param tensorOf gives the message of an initializer
 */
export function modelToProto(model: Model, tensorOf: (initializer: Initializer) => TensorProto): ModelProto {
  const { graph, proto } = model;
  const shell = proto.graph ?? {};
  const exists = new Set(graph.nodes.flatMap((node) => node.outputs));
  for (const info of [...graph.inputs, ...graph.outputs]) exists.add(info.name);
  for (const name of graph.initializers.keys()) exists.add(name);
  const overridable = (shell.input ?? []).filter((info) => graph.initializers.has(info.name ?? ""));
  return withFields(proto, {
    irVersion: model.irVersion,
    opsetImport: sameEntries(opsetsOf(proto.opsetImport), model.opsets)
      ? (proto.opsetImport ?? [])
      : Array.from(model.opsets, ([domain, version]) => ({ domain, version })),
    metadataProps: sameEntries(metadataOf(proto), model.metadata)
      ? (proto.metadataProps ?? [])
      : Array.from(model.metadata, ([key, value]) => ({ key, value })),
    graph: withFields(shell, {
      node: graph.nodes.map(nodeToProto),
      initializer: Array.from(graph.initializers.values(), tensorOf),
      input: [...graph.inputs.map(valueInfoToProto), ...overridable],
      output: graph.outputs.map(valueInfoToProto),
      valueInfo: (shell.valueInfo ?? []).filter((info) => exists.has(info.name ?? "")),
    }),
  });
}

/** The model without declared shapes of its inner tensors: for a rewriting that changes shapes. */
export function withoutInnerShapes(model: Model): Model {
  const graph = withFields(model.proto.graph ?? {}, { valueInfo: [] });
  return { ...model, proto: withFields(model.proto, { graph }) };
}

function nodeToProto({ proto, inputs, outputs }: Node): NodeProto {
  if (sameList(proto.input ?? [], inputs) && sameList(proto.output ?? [], outputs)) return proto;
  return withFields(proto, { input: [...inputs], output: [...outputs] });
}

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((name, index) => name === b[index]));

const metadataOf = (proto: ModelProto): Map<string, string> =>
  new Map(proto.metadataProps?.map((entry) => [entry.key ?? "", entry.value ?? ""]));

function sameEntries<V>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
