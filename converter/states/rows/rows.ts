/**
 * Finite reach: operators that put positions in front of a sequence, take some away, or read a window of them. They are kept as
 * they are, on their input with its last rows in front; padding gives way to those.
 */
import type { Carried, Kind, Known, Place, Realisation, StateReport } from "../../find/carried.ts";
import { type RefusedOpening, refuseOpening } from "../../find/region.ts";
import { type Builder, fromFloat } from "../../graph/build.ts";
import type { GraphIndex, Node } from "../../graph/graph.ts";
import { DataType, toNumbers } from "../../graph/tensor.ts";
import { fixedSizes } from "../../parts/seen-shapes.ts";
import { type Offset, timeAxis } from "../../time/facts/fact.ts";
import { operandOf } from "../../time/judge.ts";
import { excess, isOffset, NO_OFFSET, offsetOf, withOffset } from "../../time/offset.ts";
import { type Carry, carried, maskFor, stateDims } from "./carry.ts";
import { ofThose } from "./counted.ts";
import { type History, historyOf } from "./history.ts";
import type { Move, Mover } from "./move.ts";
import { Concat, Pad, Slice } from "./padding.ts";
import { shownFrom } from "./shown-from.ts";
import { Conv, ConvTranspose, pool } from "./windows.ts";

/** By operator of the standard domain. */
const MOVERS: Readonly<Record<string, Mover>> = {
  Pad,
  Slice,
  Concat,
  Conv,
  ConvTranspose,
  MaxPool: pool(Number.NEGATIVE_INFINITY),
  AveragePool: pool(0),
  LpPool: pool(0),
};

export const ROWS: Kind<RefusedOpening> = {
  name: "finite reach",
  isFirst: ({ graphs, constants }, { node }) => {
    const isFixed = fixedSizes(graphs.inputs).time !== undefined;
    return (
      isFilled(node, constants) || readersOf(graphs.index, node).every((reader) => isWindow(reader, constants, isFixed))
    );
  },
  async find(known, opening) {
    const { graphs, time, constants } = known;
    const { node, stream } = opening;
    const mover = node.domain === "" ? MOVERS[node.op] : undefined;
    const fact = time.facts.get(stream);
    if (!mover || fact?.kind !== "stream") return undefined;
    const axis = timeAxis(fact.axes);
    if (fact.axes[axis]!.join() !== "time") return undefined;
    const offset = offsetOf(fact);
    const more = excess(offset);
    const fixed = fixedSizes(graphs.inputs).time;
    const operands = node.inputs.map((name) => (name ? operandOf(name, time.facts, constants) : undefined));
    const move = mover({
      ...{ node, operands, more, axis, axes: fact.axes, input: node.inputs.indexOf(stream), context: time.context },
      length: fixed === undefined ? undefined : fixed + more,
    });
    if (!move) return undefined;
    const refuse = (code: RefusedOpening["code"], reason: string, remedy?: string) =>
      refuseOpening(node, code, reason, { remedy });
    if ("code" in move) return refuse(move.code, move.reason, move.remedy);
    const moved = { left: offset.left + move.front - move.reach, right: offset.right + move.back };
    const filledWith = isFilledWith(node, constants);
    const refusal = misplaced(offset, move, moved, filledWith);
    if (refusal) return { ...refuse(refusal.code, refusal.reason), at: firstMoved(known, node, stream) };
    // a stream of the sequence's own length is brought to its own positions
    const delay = excess(moved) === 0 ? moved.left : 0;
    const after = excess(moved) === 0 ? NO_OFFSET : moved;
    const rows = move.reach + delay;
    // padding stands where earlier positions were left out
    const covered = move.front > 0 && offset.left < 0 ? -offset.left : 0;
    const filling = covered > 0 ? { covered, with: filledWith ?? move.fill } : undefined;
    const history = await historyOf(known, { tensor: stream, axes: fact.axes, offset }, rows, move.fill);
    if (typeof history === "string") return refuse("mixes-time", history);
    const exit = { tensor: node.outputs[0]!, fact: withOffset({ kind: "stream", axes: move.axes }, after) };
    return {
      ...{
        opening: node,
        nodes: new Set([node]),
        exits: [exit],
        reason: opening.reason,
        seesPadding: seesPadding(history),
      },
      plan: async () =>
        realised(node, { tensor: stream, axes: fact.axes, rows, history, offset }, { move, delay, filling }),
    } satisfies Carried;
  },
};

/** The first of the nodes that have moved positions on the way to a stream. */
function firstMoved({ graphs, time }: Known, node: Node, stream: string): Node {
  let [first, name] = [node, stream];
  for (let fact = time.facts.get(name); fact && isOffset(fact); fact = time.facts.get(name)) {
    first = graphs.index.producer.get(name)!;
    name = first.inputs.find((input) => time.facts.get(input)?.kind === "stream") ?? "";
  }
  return first;
}

/** Lags of a filter that is a window rather than a long convolution: of all channels, or where a fixed length says no more of it. */
const FEW_TAPS = 64;
/** Kernels of a filter that may give way to states of fewer numbers. */
const MOST_KERNELS = 1024;

/**
 * Pooling, convolutions that reach along another axis as well or mix channels over a few positions, and short ones of a fixed
 * length, of which probes see that length alone: no long convolution begins there.
 */
function isWindow({ op, domain, inputs, attributes }: Node, constants: Known["constants"], isFixed: boolean): boolean {
  if (domain !== "" || op.endsWith("Pool")) return domain === "";
  const isTransposed = op === "ConvTranspose";
  const filter = op === "Conv" || isTransposed ? constants.get(inputs[1]!)?.dims : undefined;
  if (!filter) return false;
  const isShort = filter.slice(2).every((taps) => taps < FEW_TAPS);
  const groups = Number(attributes.group ?? 1);
  const kernels = filter[0]! * filter[1]! * groups;
  // input channels of a group are on axis 1 of a filter, those of a transposed one on axis 0, of all groups
  const isMixing =
    (isTransposed ? filter[0]! > groups : filter[1]! > 1) && (isShort || isFixed || kernels > MOST_KERNELS);
  return isMixing || filter.length > 3 || (isFixed && isShort);
}

/** Padding with a number: what comes of it is no convolution at the positions that see it. */
const isFilled = ({ op, domain, inputs }: Node, constants: Known["constants"]): boolean => {
  const value = op === "Pad" && domain === "" && inputs[2] ? constants.get(inputs[2])?.tensor() : undefined;
  return value !== undefined && toNumbers(value)[0] !== 0;
};

const readersOf = (index: GraphIndex, node: Node): readonly Node[] => {
  const readers = PADDING.has(node.op) ? throughLayouts(index, node) : [];
  return readers.length > 0 ? readers : [node];
};

/** What reads a node's outputs, also in another layout: as Conv of two axes, say. */
const throughLayouts = (index: GraphIndex, node: Node): readonly Node[] =>
  node.outputs
    .flatMap((name) => index.consumers.get(name) ?? [])
    .flatMap((reader) => (LAYOUTS.has(reader.op) ? throughLayouts(index, reader) : [reader]));

const PADDING = new Set(["Pad", "Concat"]);
const LAYOUTS = new Set(["Identity", "Cast", "Transpose", "Unsqueeze", "Squeeze", "Reshape"]);

/** Padding is hidden as what stands before the first position, where that is the same at every place. */
export const seesPadding = (history: History): true | undefined =>
  history.kind === "first" ||
  (history.kind === "rows" && history.rows.some((row) => row.some((v, k) => v !== history.rows[0]![k])))
    ? true
    : undefined;

/** Why the positions cannot be where they are. */
function misplaced(
  before: Offset,
  move: Move,
  after: Offset,
  filledWith: number | undefined,
): Pick<RefusedOpening, "code" | "reason"> | undefined {
  if (move.front > 0 && before.left < 0 && filledWith === undefined)
    return { code: "mixes-time", reason: "puts padding where earlier positions were left out" };
  if (excess(after) === 0 && after.left < 0)
    return { code: "not-causal", reason: `looks ${-after.left} positions ahead` };
  return undefined;
}

/** What a node pads with in front: a number; undefined where it is something else. */
function isFilledWith({ op, domain, attributes, inputs }: Node, constants: Known["constants"]): number | undefined {
  if (domain !== "") return undefined;
  if (op !== "Pad") return op === "Conv" || op === "MaxPool" || op === "AveragePool" ? FILLS[op] : undefined;
  if ((attributes.mode ?? "constant") !== "constant") return undefined;
  const value = inputs[2] ? constants.get(inputs[2])?.tensor() : undefined;
  return inputs[2] ? value && toNumbers(value)[0] : 0;
}

const FILLS = { Conv: 0, MaxPool: Number.NEGATIVE_INFINITY, AveragePool: 0 };

/** How an operator is realised. */
interface How {
  readonly move: Move;
  /** Positions by which it waits. */
  readonly delay: number;
  /** The first positions of the stream are none of the export's, and padding stands there. */
  readonly filling: { readonly covered: number; readonly with: number } | undefined;
}

function realised(node: Node, carry: Carry & { readonly offset: Offset }, { move, delay, filling }: How): Realisation {
  const { rows, history, axes, offset } = carry;
  const { counted } = move;
  const nodes = new Set([node]);
  const output = node.outputs[0]!;
  if (rows === 0)
    return {
      ...{ opening: node, nodes, needsStart: filling !== undefined, reports: [] },
      add: (b, place) => {
        move.apply(b, place.original(node), filled(b, carry, filling, place), output);
        return [];
      },
    };
  return {
    ...{
      opening: node,
      nodes,
      needsStart: history.kind !== "zeros" || counted !== undefined || filling !== undefined,
      reports: [reportOf(carry)],
    },
    add: (b, place) => {
      const tensor = filled(b, carry, filling, place);
      const typeOf = (name: string) => place.typeOf(name === tensor ? carry.tensor : name);
      const { stream: window, ports } = carried(b, { ...carry, tensor }, { ...place, typeOf });
      const given = delay > 0 ? withoutLast(b, window, delay, timeAxis(axes)) : window;
      const mean = counted ? b.name("mean") : output;
      move.apply(b, place.original(node), given, mean);
      if (counted) ofThose(b, counted, { mean, axes: move.axes, ahead: offset.left - delay, output }, place);
      return [ports];
    },
  };
}

/** The stream with padding at its first positions. */
function filled(b: Builder, { tensor, axes }: Carry, filling: How["filling"], place: Place): string {
  if (!filling) return tensor;
  const shown = b.one("Cast", [maskFor(b, axes, place.symbols, shownFrom(b, place, filling.covered))], {
    to: DataType.BOOL,
  });
  const typed = fromFloat(b, b.floats("padding", [1], [filling.with]), place.typeOf(tensor), "padding");
  return b.one("Where", [shown, tensor, typed], {}, { hint: "padded" });
}

/** All but the newest positions. */
const withoutLast = (b: Builder, window: string, delay: number, axis: number): string =>
  b.one(
    "Slice",
    [window, b.ints("from", [0]), b.ints("to", [-delay]), b.ints("axis", [axis])],
    {},
    { hint: "delayed" },
  );

export function reportOf(carry: Carry): StateReport {
  const dims = stateDims(carry);
  const channels = dims.reduce((a, c) => a * c, 1) / carry.rows;
  return {
    ...{ state: "conv", form: "rows", channels, lags: carry.rows + 1, order: carry.rows, dims },
    because: "the operator is kept, and reads so many positions before its own",
  };
}
