/** Pieces around a whole graph: a mask by the length of each sequence in front, an even length behind. */
import { createBuilder, namesOf } from "../../converter/graph/build.ts";
import type { Model, Node } from "../../converter/graph/graph.ts";
import { renameTensors } from "../../converter/graph/rename.ts";
import { DataType } from "../../converter/graph/tensor.ts";
import { asScalar, type Draft, lengthOf, newDraft, slice, transpose, unsqueeze, weights } from "./draft.ts";
import type { FuzzGraph } from "./generate.ts";
import type { Random } from "./random.ts";

export const LENGTHS = "lengths";

/** A draft that adds to a graph. */
function onto({ graph, opsets }: Model, r: Random, channels: number): Draft {
  const opset = opsets.get("")!;
  return {
    ...newDraft(r, opset, channels, { length: undefined, batch: undefined }),
    b: createBuilder(opset, namesOf(graph)),
  };
}

const withNodes = (model: Model, d: Draft, nodes: readonly Node[], ends: Partial<Model["graph"]>): Model => ({
  ...model,
  graph: { ...model.graph, ...ends, nodes, initializers: new Map([...model.graph.initializers, ...d.b.initializers]) },
});

/**
 * Zeros from each sequence's own length on: `arange(n) < lengths`. A mistake counts it from the end: what is shown then depends on
 * how long the whole is.
 */
export function shownUntil(graph: FuzzGraph, r: Random): FuzzGraph {
  const { model } = graph;
  const [signal] = model.graph.inputs;
  if (signal!.type !== DataType.FLOAT || graph.axes[signal!.name] !== undefined) return graph;
  const { name } = signal!;
  const d = onto(model, r, Number(signal!.dims![2]));
  const isMistake = graph.kind === "causal" && r.chance(0.3);
  const n = lengthOf(d, { name, channels: Number(signal!.dims![2]) });
  const range = d.b.one("Range", [d.b.ints("zero", 0), asScalar(d, n), d.b.ints("one", 1)]);
  const until = unsqueeze(d, LENGTHS, [1]);
  const shown = isMistake ? d.b.one("Less", [d.b.one("Sub", [n, until]), range]) : d.b.one("Less", [range, until]);
  const factor = unsqueeze(d, d.b.one("Cast", [shown], { to: DataType.FLOAT }), [2]);
  const own = d.b.one("Mul", [name, factor]);
  const inner = renameTensors(model.graph, new Map([[name, own]]));
  const inputs = [...model.graph.inputs, { name: LENGTHS, type: DataType.INT64, dims: ["batch"] }];
  const made = withNodes({ ...model, graph: inner }, d, [...d.b.nodes, ...inner.nodes], { inputs });
  return {
    ...graph,
    ...{ model: made, reference: made, axes: { ...graph.axes, [LENGTHS]: -1 } },
    ...(isMistake && { kind: "trap" as const }),
    pieces: [...graph.pieces, isMistake ? "lengths from the end" : LENGTHS],
  };
}

/** y + conv(y), where y is padded to an even length before, and cut again. */
export function evenly(graph: FuzzGraph, r: Random): FuzzGraph {
  const { model } = graph;
  const output = model.graph.outputs.find(({ name, dims }) => graph.axes[name] === undefined && dims!.length === 3);
  if (!output) return graph;
  const channels = Number(output.dims![2]);
  const d = onto(model, r, channels);
  const own = d.b.name("even");
  const n = lengthOf(d, { name: own, channels });
  const two = d.b.ints("two", [2]);
  const more =
    r.next() < 0.5
      ? d.b.one("Mod", [n, two])
      : d.b.one("Sub", [d.b.one("Mul", [d.b.one("Div", [d.b.one("Add", [n, d.b.ints("one", [1])]), two]), two]), n]);
  const zero = d.b.ints("none", [0]);
  const amounts = d.b.one("Concat", [zero, zero, zero, zero, more, zero], { axis: 0 });
  const padded = transpose(d, d.b.one("Pad", [own, amounts]), [0, 2, 1]);
  const taps = r.int(2, 5);
  const convolved = d.b.one("Conv", [padded, weights(d, [channels, 1, taps])], {
    ...{ group: channels, kernel_shape: [taps], pads: [taps - 1, 0] },
  });
  const cut = slice(d, transpose(d, convolved, [0, 2, 1]), 1, 0, n);
  d.b.add("Add", [own, cut], {}, { outputs: [output.name] });
  const inner = renameTensors(model.graph, new Map([[output.name, own]]));
  const { outputs } = model.graph;
  const made = withNodes({ ...model, graph: inner }, d, [...inner.nodes, ...d.b.nodes], { outputs });
  return { ...graph, model: made, reference: made, pieces: [...graph.pieces, "even length"] };
}
