/** A graph in memory: nodes in topological order, initializers, and who makes and reads each tensor. */

import type { Where } from "../../src/errors.ts";
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from "./proto.ts";
import { readsOf } from "./reads.ts";
import type { Tensor } from "./tensor.ts";

/** A decoded attribute: number for INT and FLOAT, string for STRING, arrays of these, a tensor, or a subgraph. */
export type AttributeValue = number | string | readonly number[] | readonly string[] | Tensor | GraphProto;

/** Attributes by name. A rule takes what it needs with the ONNX default: `{ axis = 1 }`. */
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

/** One node. `proto` is what will be written, with every field the file had. */
export interface Node {
  /** Unique in the graph; made up from the operator where the file has none. */
  readonly name: string;
  readonly op: string;
  /** "" for the standard operators (also where the file says "ai.onnx"). */
  readonly domain: string;
  /** "" marks an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
  readonly proto: NodeProto;
}

/** A constant of the graph. Its values are read when asked for, from the file where they are external. */
export interface Initializer {
  readonly name: string;
  /** onnx.TensorProto.DataType */
  readonly type: number;
  readonly dims: readonly number[];
  /** Little-endian values, as in raw_data; not kept, so ask once. */
  bytes(): Uint8Array;
  /** Typed view of the values. */
  tensor(): Tensor;
  readonly proto: TensorProto;
  /** Where the values lie, if in a file of their own. */
  readonly external?: ExternalValues;
}

/** Values in a file of their own: `length` bytes from `offset`. */
export interface ExternalValues {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** A dimension of a graph input or output: a number, a symbol, or unknown. */
export type DeclaredDim = number | string | undefined;

export interface ValueInfo {
  readonly name: string;
  /** onnx.TensorProto.DataType; 0 for sequences, maps and optionals. */
  readonly type: number;
  readonly dims: readonly DeclaredDim[] | undefined;
  /** The file's own message; what it says beyond the fields above is written back. */
  readonly proto?: ValueInfoProto;
}

export interface Graph {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers: ReadonlyMap<string, Initializer>;
  /** In topological order. */
  readonly nodes: readonly Node[];
}

/** A model: a graph, its opsets, and where it came from. */
export interface Model {
  /** Path for messages; "" for a model made in memory. */
  readonly file: string;
  readonly irVersion: number;
  /** domain -> version; the standard domain is "". */
  readonly opsets: ReadonlyMap<string, number>;
  readonly graph: Graph;
  readonly metadata: ReadonlyMap<string, string>;
  /** The file's own message; its `graph` has no nodes, initializers, inputs and outputs. What we do not interpret survives in it. */
  readonly proto: ModelProto;
  /** Why fused operators were not written out in ones that are followed, by their first output. */
  readonly unwritten?: ReadonlyMap<string, string>;
}

/** Who makes and who reads each tensor. */
export interface GraphIndex {
  readonly producer: ReadonlyMap<string, Node>;
  /** Nodes that read a tensor, as an input or from inside a subgraph. */
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
  readonly outputs: ReadonlySet<string>;
}

/** Finds who makes and who reads each tensor. */
export function indexGraph(graph: Graph): GraphIndex {
  const producer = new Map<string, Node>();
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of node.outputs) if (name) producer.set(name, node);
    for (const name of readsOf(node)) {
      const list = consumers.get(name);
      if (list) list.push(node);
      else consumers.set(name, [node]);
    }
  }
  return { producer, consumers, outputs: new Set(graph.outputs.map((output) => output.name)) };
}

/** The place of a node, for an error: its name, operator, and the module path and line that PyTorch's exporter left. */
export function whereOf(model: Pick<Model, "file">, node: Node): Where {
  return {
    file: model.file || undefined,
    node: node.name,
    operator: node.domain ? `${node.domain}::${node.op}` : node.op,
    source: sourceOf(node),
  };
}

/** "mixers.3, model.py line 41", where the exporter left it in the node's metadata. */
export function sourceOf(node: Node): string | undefined {
  const entries = (node.proto as { metadataProps?: { key?: string | null; value?: string | null }[] }).metadataProps;
  const find = (key: string) => entries?.find((entry) => entry.key === key)?.value ?? "";
  const scopes = [...find("pkg.torch.onnx.name_scopes").matchAll(/'([^']*)'/g)].map((match) => match[1]);
  const module = scopes.slice(0, -1).filter(Boolean).at(-1);
  const line = [...find("pkg.torch.onnx.stack_trace").matchAll(/File "([^"]*)", line (\d+)/g)].at(-1);
  const parts = [module, line && `${line[1]} line ${line[2]}`].filter(Boolean);
  return parts.length ? parts.join(", ") : undefined;
}
