/** What a model's file says of itself before ONNX Runtime opens it, read off its bytes without a schema of ONNX. */
import { type Body, type Expansion, expansionOf, functionKey } from "../../src/function-sizes.ts";
import { type Bytes, type Field, fieldsOf, textOf } from "./wire.ts";

export interface Outline {
  /** The model's metadata by key, which ONNX Runtime's JavaScript does not give. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Undefined where these bytes are no model: ONNX Runtime says why. */
  readonly graph: OutlinedGraph | undefined;
}

export interface OutlinedGraph {
  /** Without those that only allow an initializer to be overridden. */
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly expansion: Expansion;
}

/** Fields of ONNX's messages that are read. */
const MODEL = { graph: 7, metadata: 14, functions: 25 };
const ENTRY = { key: 1, value: 2 };
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12 };
const VALUE = { name: 1 };
const TENSOR = { name: 8 };
const NODE = { op: 4, attribute: 5, domain: 7, overload: 8 };
const ATTRIBUTE = { graph: 6, graphs: 11 };
const FUNCTION = { name: 1, node: 7, domain: 10, overload: 13 };

/** Graphs in nodes of graphs: Protobuf itself reads no deeper messages. */
const DEEPEST = 100;

/** @param bytes of a model's file; of weights, no more than their names is read */
export function outlineOf(bytes: Bytes): Outline {
  const metadata = new Map<string, string>();
  try {
    const model = [...fieldsOf(bytes)];
    for (const entry of model.filter(({ number }) => number === MODEL.metadata))
      metadata.set(textIn(bytes, entry, ENTRY.key), textIn(bytes, entry, ENTRY.value));
    // a field that is there twice is read as one, joined
    const parts = model.filter(({ number }) => number === MODEL.graph);
    if (parts.length === 0) return { metadata, graph: undefined };
    const graph = parts.flatMap((part) => [...fieldsOf(bytes, part)]);
    const functions = model.filter(({ number }) => number === MODEL.functions);
    return { metadata, graph: { ...namesOf(bytes, graph), expansion: expansionIn(bytes, graph, functions) } };
  } catch {
    return { metadata, graph: undefined };
  }
}

function namesOf(bytes: Bytes, graph: readonly Field[]): Pick<OutlinedGraph, "inputNames" | "outputNames"> {
  const named = (part: number, field: number) =>
    graph.filter(({ number }) => number === part).map((each) => textIn(bytes, each, field));
  const given = new Set(named(GRAPH.initializer, TENSOR.name));
  return {
    inputNames: named(GRAPH.input, VALUE.name).filter((name) => !given.has(name)),
    outputNames: named(GRAPH.output, VALUE.name),
  };
}

function expansionIn(bytes: Bytes, graph: readonly Field[], functions: readonly Field[]): Expansion {
  const nodes = graph.filter(({ number }) => number === GRAPH.node);
  if (functions.length === 0) return { nodes: nodes.length, depth: 0, circular: undefined };
  const places = functions.map((each): [string, Field] => {
    const [name, domain, overload] = [FUNCTION.name, FUNCTION.domain, FUNCTION.overload].map((field) =>
      textIn(bytes, each, field),
    );
    return [functionKey(domain, name, overload), each];
  });
  const known = new Set(places.map(([key]) => key));
  const bodyOf = (nodes: readonly Field[]): Body => ({
    nodes: nodes.length,
    calls: nodes.flatMap((node) => callsIn(bytes, node, known, 0)),
  });
  const bodies = places.map(([key, each]): [string, Body] => [key, bodyOf(within(bytes, each, FUNCTION.node))]);
  return expansionOf(bodyOf(nodes), new Map(bodies));
}

/** The functions that a node calls, itself and in the graphs that it runs. */
function callsIn(bytes: Bytes, node: Field, known: ReadonlySet<string>, depth: number): string[] {
  if (depth > DEEPEST) throw new Error("too deep");
  const key = functionKey(
    textIn(bytes, node, NODE.domain),
    textIn(bytes, node, NODE.op),
    textIn(bytes, node, NODE.overload),
  );
  const inner = within(bytes, node, NODE.attribute)
    .flatMap((attribute) => [
      ...within(bytes, attribute, ATTRIBUTE.graph),
      ...within(bytes, attribute, ATTRIBUTE.graphs),
    ])
    .flatMap((graph) => within(bytes, graph, GRAPH.node));
  return [...(known.has(key) ? [key] : []), ...inner.flatMap((each) => callsIn(bytes, each, known, depth + 1))];
}

const within = (bytes: Bytes, message: Field, wanted: number): Field[] =>
  [...fieldsOf(bytes, message)].filter(({ number }) => number === wanted);

/** A field of text, which is empty where it is not there. */
function textIn(bytes: Bytes, message: Field, wanted: number): string {
  const field = within(bytes, message, wanted).at(-1);
  return field ? textOf(bytes, field) : "";
}
