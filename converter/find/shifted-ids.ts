/**
 * Token ids that are shifted before they are looked up (features of pairs of tokens), as floats: a state is float32, which
 * holds every whole number below 2^24 as it is, and a shift is a window whose only tap is 1. Ids that may be larger are
 * shifted in parts of 22 bits.
 */
import { type Builder, createBuilder, namesOf, patched } from "../graph/build.ts";
import { type Graph, type GraphIndex, indexGraph, type Model, type Node } from "../graph/graph.ts";
import { DataType, toNumbers } from "../graph/tensor.ts";

/** float32 holds every whole number up to this: ids that look up a table of no more rows are below it. */
const MOST_IDS = 2 ** 24;

/** What a part counts to, and how many parts hold any number of a type. */
const PART = 2 ** 22;
const PARTS: Readonly<Record<number, number>> = { [DataType.INT32]: 2, [DataType.INT64]: 3 };

/** What moves ids behind a Pad: cast back where it ends. */
const MOVES = new Set(["Slice", "Identity"]);

/** The same model with every shift of an input of integers between casts; the model itself where there is none. */
export function withFloatShifts(model: Model): Model {
  const { graph } = model;
  const types = new Map(graph.inputs.map(({ name, type }) => [name, type]));
  const parts = (ids: string) => PARTS[types.get(ids) ?? 0];
  const pads = graph.nodes.filter((node) => node.op === "Pad" && parts(node.inputs[0]!) && padsZeros(graph, node));
  if (pads.length === 0) return model;
  const index = indexGraph(graph);
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const moved = new Map<Node, readonly Node[]>();
  for (const pad of pads) {
    const chain = chainOf(index, pad);
    const ids = pad.inputs[0]!;
    for (const node of chain) moved.set(node, []);
    const shifted = b.added(() => shift(b, ids, chain, types.get(ids)!, looksUp(graph, index, ids) ? 1 : parts(ids)!));
    moved.set(chain.at(-1)!, shifted.nodes);
  }
  const nodes = graph.nodes.flatMap((node) => moved.get(node) ?? [node]);
  return { ...model, graph: patched(graph, b, nodes) };
}

/** A Pad and what alone moves its output, one behind the other. */
function chainOf({ consumers, outputs }: GraphIndex, pad: Node): Node[] {
  const chain = [pad];
  for (;;) {
    const end = chain.at(-1)!.outputs[0]!;
    const [next, ...others] = consumers.get(end) ?? [];
    if (!next || others.length > 0 || outputs.has(end) || !MOVES.has(next.op) || next.inputs[0] !== end) return chain;
    chain.push(next);
  }
}

/** Whether ids look up a table so small that float32 holds them all. */
const looksUp = ({ initializers }: Graph, { consumers }: GraphIndex, ids: string): boolean =>
  (consumers.get(ids) ?? []).some(({ op, inputs: [table, at] }) => {
    const rows = op === "Gather" && at === ids ? initializers.get(table!)?.dims[0] : undefined;
    return rows !== undefined && rows <= MOST_IDS;
  });

/** The chain in float32, once for each part of the ids, and what it gives put together again. */
function shift(b: Builder, ids: string, chain: readonly Node[], type: number, parts: number): void {
  b.from(chain[0]);
  const whole = (hint: string, value: number) => b.one("Cast", [b.ints(hint, value)], { to: type });
  const part = parts > 1 ? whole("part", PART) : "";
  const pieces: string[] = [];
  let rest = ids;
  for (let i = 0; i < parts; i++) {
    const isLast = i === parts - 1;
    const low = isLast ? rest : b.one("Mod", [rest, part]);
    pieces.push(moveFloats(b, b.one("Cast", [low], { to: DataType.FLOAT }, { hint: `${ids}_float` }), chain, type));
    if (!isLast) rest = b.one("Div", [b.one("Sub", [rest, low]), part]);
  }
  const end = chain.at(-1)!.outputs[0]!;
  const joined = pieces.reduceRight((high, low) => b.one("Add", [b.one("Mul", [high, part]), low]));
  b.one("Identity", [joined], {}, { outputs: [end] });
}

/** The chain on floats, and its end as integers. */
function moveFloats(b: Builder, floats: string, chain: readonly Node[], type: number): string {
  let end = floats;
  for (const node of chain) {
    const [, ...others] = node.inputs;
    const [sizes, , axes = ""] = others;
    const inputs = node.op === "Pad" ? [end, sizes!, ...(axes ? ["", axes] : [])] : [end, ...others];
    [end] = b.copy(node, inputs) as [string];
  }
  return b.one("Cast", [b.one("Round", [end])], { to: type });
}

/** Only zeros can be left out of a state: a sequence begins with them. */
function padsZeros({ initializers }: Graph, { inputs, attributes }: Node): boolean {
  if ((attributes.mode ?? "constant") !== "constant") return false;
  const value = inputs[2] ? initializers.get(inputs[2])?.tensor() : undefined;
  return !inputs[2] || (value !== undefined && toNumbers(value).every((each) => each === 0));
}
