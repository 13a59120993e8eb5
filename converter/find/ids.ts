/**
 * Token ids that are shifted before they are looked up (features of pairs of tokens), as floats: a state is float32, which
 * holds every id below 2^24 as it is, and a shift is a window whose only tap is 1.
 */
import { createBuilder, namesOf } from "../onnx/build.ts";
import { type Graph, indexGraph, type Model, type Node } from "../onnx/graph.ts";
import { rewire } from "../onnx/node.ts";
import { DataType, toNumbers } from "../onnx/tensor.ts";

/** float32 holds every whole number up to this: the ids must look up a table of no more rows, or they may be larger. */
const MOST_IDS = 2 ** 24;

/** What moves ids behind a Pad: cast back where it ends. */
const MOVES = new Set(["Slice", "Identity"]);

/** The same model with every shift of an input of integers between casts; the model itself where there is none. */
export function withFloatShifts(model: Model): Model {
  const { graph } = model;
  const types = new Map(graph.inputs.map(({ name, type }) => [name, type]));
  const isInteger = (name: string) => types.get(name) === DataType.INT64 || types.get(name) === DataType.INT32;
  const pads = graph.nodes.filter((node) => node.op === "Pad" && isInteger(node.inputs[0]!) && padsZeros(graph, node));
  if (pads.length === 0) return model;
  const { consumers, outputs } = indexGraph(graph);
  const fits = (ids: string) =>
    consumers.get(ids)?.some(({ op, inputs: [table, index] }) => {
      const rows = op === "Gather" && index === ids ? graph.initializers.get(table!)?.dims[0] : undefined;
      return rows !== undefined && rows <= MOST_IDS;
    }) === true;
  if (!pads.every(({ inputs }) => fits(inputs[0]!))) return model;
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const renamed = new Map<string, string>();
  const floats = new Map<Node, string>();
  const casts: Node[] = [];
  for (const pad of pads) {
    b.from(pad);
    const ids = pad.inputs[0]!;
    floats.set(pad, b.one("Cast", [ids], { to: DataType.FLOAT }, { hint: `${ids}_float` }));
    let end = pad.outputs[0]!;
    const moved = [end];
    for (let [next, ...others] = consumers.get(end) ?? []; next && others.length === 0; ) {
      if (outputs.has(end) || !MOVES.has(next.op) || next.inputs[0] !== end) break;
      end = next.outputs[0]!;
      moved.push(end);
      [next, ...others] = consumers.get(end) ?? [];
    }
    for (const name of moved) renamed.set(name, b.name(`${name}_float`));
    const before = b.nodes.length;
    b.one("Cast", [b.one("Round", [renamed.get(end)!])], { to: types.get(ids)! }, { outputs: [end] });
    casts.push(...b.nodes.slice(before));
  }
  const other = (name: string) => renamed.get(name) ?? name;
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const made = node.outputs.map(other);
    if (made.every((name, i) => name === node.outputs[i])) return [node];
    const [, sizes, , axes = ""] = node.inputs;
    const padded = floats.get(node);
    const inputs = padded ? [padded, sizes!, ...(axes ? ["", axes] : [])] : node.inputs.map(other);
    const changed = rewire(node, { inputs, outputs: made });
    return [changed, ...castsOf(casts, made)];
  });
  return { ...model, graph: { ...graph, nodes: [...b.nodes.filter((node) => !casts.includes(node)), ...nodes] } };
}

/** The rounding of one of these tensors and the cast behind it. */
function castsOf(casts: readonly Node[], tensors: readonly string[]): Node[] {
  const at = casts.findIndex(({ inputs }) => tensors.includes(inputs[0]!));
  return at < 0 ? [] : casts.slice(at, at + 2);
}

/** Only zeros can be left out of a state: a sequence begins with them. */
function padsZeros({ initializers }: Graph, { inputs, attributes }: Node): boolean {
  if ((attributes.mode ?? "constant") !== "constant") return false;
  const value = inputs[2] ? initializers.get(inputs[2])?.tensor() : undefined;
  return !inputs[2] || (value !== undefined && toNumbers(value).every((each) => each === 0));
}
