/** Rows that a Loop collects in a tensor that it carries: joined on, inserted into a sequence, or written over zeros in their place. */
import type { Node } from "../graph/graph.ts";
import type { Carry } from "./body.ts";
import { isEmpty } from "./empty.ts";
import { axesGiven, integersOf, isSame, type Names, type Size, sizeAlong } from "./sizes.ts";

/** What each turn adds. */
export interface Collected {
  readonly carry: Carry;
  /** What is added in a turn: one row of all. */
  readonly row: string;
  /** The axis along which it has one row; undefined where it has no such axis yet. */
  readonly rowAxis: number | undefined;
  /** The axis along which rows are laid; undefined where a ConcatFromSequence says it behind the loop. */
  readonly axis: number | undefined;
  /** How the collected rows are turned behind the loop. */
  readonly perm?: readonly number[] | undefined;
}

/** In the body of a loop. */
export interface Turning {
  readonly names: Names;
  /** Nodes of the body that read a name. */
  readonly readers: (name: string) => readonly Node[];
  /** "row": the number of the turn as a list of one; "number": by itself. */
  readonly turnIn: (name: string) => "number" | "row" | undefined;
  /** How often the loop turns. */
  readonly turns: Size;
}

/** How a carried value collects rows; undefined where it is carried for what it is. */
export function collectedIn(turning: Turning, carry: Carry): Collected | undefined {
  const { names, readers } = turning;
  const made = names.producer(carry.after);
  const [reader, ...others] = readers(carry.before);
  if (!made || !reader || others.length > 0 || made.domain !== "") return undefined;
  if (made.op === "Concat") return joined(turning, carry, made);
  if (made.op === "SequenceInsert") return inserted(turning, carry, made);
  return written(turning, carry, made, reader);
}

function joined({ names, readers }: Turning, carry: Carry, node: Node): Collected | undefined {
  const [before, row, ...more] = node.inputs;
  const axis = Number(node.attributes.axis);
  // the other axes are those of a row, so it is this one that is empty
  if (before !== carry.before || !row || more.length > 0 || axis < 0 || !isEmpty(names, carry.start)) return undefined;
  if (readers(carry.after).length > 0) return undefined;
  return { carry, row, rowAxis: axis, axis };
}

function inserted({ names, readers }: Turning, carry: Carry, node: Node): Collected | undefined {
  const [before, row, position] = node.inputs;
  const isNone = names.producer(carry.start)?.op === "SequenceEmpty";
  if (before !== carry.before || !row || position || !isNone || readers(carry.after).length > 0) return undefined;
  return { carry, row, rowAxis: undefined, axis: undefined };
}

/** Rows 0, 1, … of axis 0, or of another that is turned to the front and back, until none is left of what was there before. */
function written(
  { names, readers, turnIn, turns }: Turning,
  carry: Carry,
  last: Node,
  first: Node,
): Collected | undefined {
  const [back, front] = [last, first].map((node) => (node.op === "Transpose" ? node : undefined));
  const scatter = back ? names.producer(back.inputs[0]!) : last;
  if (scatter?.op !== "ScatterND" || scatter.domain !== "" || (scatter.attributes.reduction ?? "none") !== "none")
    return undefined;
  if ((back === undefined) !== (front === undefined) || scatter.inputs[0] !== (front?.outputs[0] ?? carry.before))
    return undefined;
  const perm = front?.attributes.perm as readonly number[] | undefined;
  const axis = perm?.[0] ?? 0;
  const there = sizeAlong(names, carry.start, axis);
  if (!there || !isSame(there, turns)) return undefined;
  const place = names.producer(scatter.inputs[1]!);
  const isPlace =
    place?.op === "Unsqueeze" &&
    turnIn(place.inputs[0]!) === "row" &&
    [0, 1, -1].includes(axesGiven(names, place)?.[0] ?? 2) &&
    axesGiven(names, place)?.length === 1;
  // its shape may be asked for: that of what it was
  const isShape = ({ op }: Node) => op === "Shape";
  const between = [...(front ? readers(front.outputs[0]!) : []), ...(back ? readers(scatter.outputs[0]!) : [])];
  const isAlone = between.every((node) => node === scatter || node === back) && readers(carry.after).every(isShape);
  if (!isPlace || !isAlone || (front && !perm) || (back && !integers(back.attributes.perm))) return undefined;
  return {
    ...{ carry, row: scatter.inputs[2]!, rowAxis: 0, axis: 0 },
    perm: back?.attributes.perm as readonly number[] | undefined,
  };
}

const integers = (value: unknown): value is readonly number[] => Array.isArray(value);

/** A list of one that is made of a single number: the shape [1]. */
export const isListOfOne = (names: Names, node: Node): boolean => {
  if (node.op === "Unsqueeze") return axesGiven(names, node)?.every((axis) => axis === 0 || axis === -1) ?? false;
  const shape = node.op === "Reshape" ? integersOf(names, node.inputs[1]) : undefined;
  return shape?.length === 1 && (shape[0] === 1 || shape[0] === -1);
};
