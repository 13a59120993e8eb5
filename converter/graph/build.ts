/** Builds graphs: new nodes, constants and names that clash with none. */

import { LongConvError } from "../../src/errors.ts";
import type { AttributeInput } from "./attributes.ts";
import type { Graph, Initializer, Model, Node, ValueInfo } from "./graph.ts";
import { initializerOf } from "./initializer.ts";
import { makeNode, rewire } from "./node.ts";
import type { GraphProto, NodeProto } from "./proto.ts";
import { DataType, float32Tensor, int64Tensor, type Tensor, tensorBytes } from "./tensor.ts";
import { valueInfoToProto } from "./valueinfo.ts";

export { initializerOf } from "./initializer.ts";
export { makeNode, rewire, withAttributes } from "./node.ts";

type AttributeInputs = Readonly<Record<string, AttributeInput | undefined>>;

/** What a new node may ask for. */
export interface AddOptions {
  /** Names of its outputs, or how many; default 1. */
  readonly outputs?: readonly string[] | number;
  /** Stem of the names of the node and its outputs; default the operator. */
  readonly hint?: string;
  /** Default: the standard operators. */
  readonly domain?: string;
}

/** Collects the nodes and initializers of a graph in the making; nodes come in the order in which they are added. */
export interface Builder {
  readonly opset: number;
  readonly nodes: readonly Node[];
  /** Shared by a builder and the builders of its subgraphs. */
  readonly initializers: ReadonlyMap<string, Initializer>;
  /** A name that is not taken yet, and now is. */
  name(hint: string): string;
  /** Adds an initializer and returns its name; equal ones of at most 64 bytes are shared. */
  constant(hint: string, tensor: Tensor): string;
  /** A float32 initializer. */
  floats(hint: string, dims: readonly number[], values: ArrayLike<number>): string;
  /** An int64 initializer: rank 1, or a scalar for a single number. */
  ints(hint: string, values: readonly number[] | number): string;
  /** Adds a node and returns the names of its outputs. Trailing "" inputs are dropped. */
  add(op: string, inputs: readonly string[], attributes?: AttributeInputs, options?: AddOptions): string[];
  /** Adds a node with one output and returns its name. */
  one(op: string, inputs: readonly string[], attributes?: AttributeInputs, options?: AddOptions): string;
  /** Adds a copy of a node that reads other tensors; its outputs get names of their own, where none are given. */
  copy(node: Node, inputs: readonly string[], outputs?: readonly string[]): string[];
  /** Copies the metadata of this node (module path, source line) to the nodes that follow; undefined stops it. */
  from(origin: Node | undefined): void;
  /** What is made, and the nodes that are added meanwhile; with the metadata of a node of the source, where they follow one. */
  added<T>(make: () => T, origin?: Node): { readonly made: T; readonly nodes: readonly Node[] };
  /** A builder for a branch of If: it may read every outer name; its constants go to the outer graph. */
  subgraph(): SubgraphBuilder;
}

/** A builder whose nodes become a subgraph. */
export interface SubgraphBuilder extends Builder {
  /** The finished subgraph. Outputs must be made inside it; bare names have no declared type, which ONNX allows. */
  finish(name: string, outputs: readonly (ValueInfo | string)[]): GraphProto;
}

const SHARED_BYTES = 64;
/** The opset from which on a Shape may be of some axes alone; before it is cut. */
const PART_OF_SHAPE = 15;
const MOST_AXES = 2 ** 31 - 1;

interface Scope {
  readonly opset: number;
  readonly taken: Set<string>;
  readonly initializers: Map<string, Initializer>;
  /** Small constants by type, shape and values. */
  readonly shared: Map<string, string>;
  origin: Node | undefined;
}

/**
 * A builder for nodes of the given opset.
 * @param taken names that exist already
 */
export function createBuilder(opset: number, taken: Iterable<string> = []): Builder {
  const names = new Set(taken).add("");
  return builderIn({ opset, taken: names, initializers: new Map(), shared: new Map(), origin: undefined });
}

/** Every name in a graph, of tensors and nodes, also inside subgraphs: what a builder must not use again. */
export function namesOf(graph: Graph): Set<string> {
  const names = new Set(graph.initializers.keys());
  for (const info of [...graph.inputs, ...graph.outputs]) names.add(info.name);
  for (const node of graph.nodes) addNames(names, node.proto).add(node.name);
  return names;
}

function addNames(names: Set<string>, proto: NodeProto): Set<string> {
  for (const name of [proto.name ?? "", ...(proto.input ?? []), ...(proto.output ?? [])]) names.add(name);
  for (const attribute of proto.attribute ?? []) {
    for (const graph of [attribute.g, ...(attribute.graphs ?? [])]) {
      for (const info of [...(graph?.input ?? []), ...(graph?.initializer ?? [])]) names.add(info.name ?? "");
      for (const node of graph?.node ?? []) addNames(names, node);
    }
  }
  return names;
}

/** A float32 tensor in another type. */
export const fromFloat = (b: Builder, tensor: string, type: number, hint?: string): string =>
  type === DataType.FLOAT ? tensor : b.one("Cast", [tensor], { to: type }, hint === undefined ? {} : { hint });

/** A graph with other nodes, and the constants that they read. */
export const patched = (graph: Graph, b: Builder, nodes: readonly Node[]): Graph => ({
  ...graph,
  nodes,
  initializers: new Map([...graph.initializers, ...b.initializers]),
});

function builderIn(scope: Scope): Builder {
  const nodes: Node[] = [];
  const builder: Builder = {
    opset: scope.opset,
    nodes,
    initializers: scope.initializers,
    name: (hint) => freshName(scope, hint),
    constant: (hint, tensor) => addConstant(scope, hint, tensor),
    floats: (hint, dims, values) => addConstant(scope, hint, float32Tensor(dims, values)),
    ints: (hint, values) =>
      addConstant(
        scope,
        hint,
        typeof values === "number" ? int64Tensor([], [values]) : int64Tensor([values.length], values),
      ),
    add(op, inputs, attributes, options = {}) {
      const { outputs = 1, hint = op, domain } = options;
      const made =
        typeof outputs === "number" ? Array.from({ length: outputs }, () => freshName(scope, hint)) : [...outputs];
      for (const name of made) scope.taken.add(name);
      const { start, end } = op === "Shape" && !domain && scope.opset < PART_OF_SHAPE ? (attributes ?? {}) : {};
      if (start !== undefined || end !== undefined) {
        const ends = [start ?? 0, end ?? MOST_AXES].map((at) => builder.ints("axis", [Number(at)]));
        return builder.add("Slice", [builder.one("Shape", inputs, {}, { hint }), ...ends], {}, { outputs: made, hint });
      }
      const present = inputs.slice(0, inputs.findLastIndex((name) => name !== "") + 1);
      const extra = {
        ...(domain && { domain }),
        ...(attributes && { attributes }),
        ...(scope.origin && { origin: scope.origin }),
      };
      nodes.push(makeNode(freshName(scope, `${hint}_node`), op, present, made, extra));
      return made;
    },
    one: (op, inputs, attributes, options) => builder.add(op, inputs, attributes, options)[0]!,
    copy(node, inputs, given) {
      const outputs = given ?? node.outputs.map((name) => (name ? freshName(scope, name) : ""));
      nodes.push(rewire(node, { inputs, outputs, name: freshName(scope, node.name) }));
      return [...outputs];
    },
    from(origin) {
      scope.origin = origin;
    },
    added(make, origin) {
      const before = nodes.length;
      if (origin) scope.origin = origin;
      const made = make();
      if (origin) scope.origin = undefined;
      return { made, nodes: nodes.slice(before) };
    },
    subgraph() {
      const inner = builderIn(scope);
      return { ...inner, finish: (name, outputs) => finishSubgraph(name, inner.nodes, outputs) };
    },
  };
  return builder;
}

function freshName({ taken }: Scope, hint: string): string {
  let name = hint;
  for (let count = 1; taken.has(name); count++) name = `${hint}_${count}`;
  taken.add(name);
  return name;
}

function addConstant(scope: Scope, hint: string, tensor: Tensor): string {
  const key =
    ArrayBuffer.isView(tensor.data) && tensor.data.byteLength <= SHARED_BYTES
      ? `${tensor.type} ${tensor.dims} ${tensorBytes(tensor)}`
      : undefined;
  const known = key === undefined ? undefined : scope.shared.get(key);
  if (known !== undefined) return known;
  const name = freshName(scope, hint);
  scope.initializers.set(name, initializerOf(name, tensor));
  if (key !== undefined) scope.shared.set(key, name);
  return name;
}

function finishSubgraph(name: string, nodes: readonly Node[], outputs: readonly (ValueInfo | string)[]): GraphProto {
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const output = outputs.map((info) => (typeof info === "string" ? { name: info } : valueInfoToProto(info)));
  for (const info of output) {
    if (made.has(info.name ?? "")) continue;
    const remedy = "Pass an outer tensor through Identity.";
    throw new LongConvError(
      "invalid-graph",
      `subgraph '${name}' does not make its output`,
      { tensor: info.name ?? "" },
      remedy,
    );
  }
  return { name, node: nodes.map((node) => node.proto), output };
}

/** What a model made in memory consists of. */
export interface ModelParts {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Initializer> | readonly Initializer[];
  /** Version of the standard operators, or of every domain. */
  readonly opsets: number | ReadonlyMap<string, number>;
  /** Default: the least that the opset needs. */
  readonly irVersion?: number;
  readonly metadata?: ReadonlyMap<string, string>;
  /** For messages. */
  readonly file?: string;
  /** Name of the graph; default "graph". */
  readonly name?: string;
}

/** A model in memory. */
export function makeModel(parts: ModelParts): Model {
  const {
    inputs,
    outputs,
    nodes,
    initializers,
    metadata = new Map<string, string>(),
    file = "",
    name = "graph",
  } = parts;
  const opsets = typeof parts.opsets === "number" ? new Map([["", parts.opsets]]) : parts.opsets;
  const table = "get" in initializers ? initializers : new Map(initializers.map((each) => [each.name, each]));
  return {
    file,
    irVersion: parts.irVersion ?? irVersionFor(opsets.get("") ?? 0),
    opsets,
    graph: { inputs, outputs, nodes, initializers: table },
    metadata,
    proto: { graph: { name } },
  };
}

/** The IR version with which an opset of the standard operators was released (13 and up). */
export function irVersionFor(opset: number): number {
  if (opset < 15) return 7;
  if (opset < 19) return 8;
  if (opset < 21) return 9;
  if (opset < 23) return 10;
  return opset < 24 ? 11 : 12;
}
