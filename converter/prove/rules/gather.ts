/** Operators that pick. */

import { fromFront } from "../../graph/axis.ts";
import { add, type Dim, dim, scale, subtract } from "../../time/facts/dim.ts";
import { atLeast, type Case, most, NotRun, numberOf, Unproven } from "../values/cases.ts";
import { endedAt, keyAnywhere } from "../values/cutting.ts";
import { numbersOf, placed, type Rule, sizeOfAxis, tensorOf } from "../values/rule.ts";
import {
  type Axes,
  type Body,
  type Index,
  isLine,
  type Lines,
  lineAt,
  linesOf,
  type Pairs,
  type Windows,
} from "../values/value.ts";
import { asLine, difference } from "./positions.ts";
import { channels, partsOf } from "./slicing.ts";

/** https://onnx.ai/onnx/operators/onnx__Gather.html: of one place along an axis, or by differences of positions. */
export const Gather: Rule = ([input, indices], { axis = 0 }, { which }) => {
  const data = tensorOf(input);
  const k = fromFront(Number(axis), data.axes.length);
  const places = numbersOf(indices);
  const rank = indices?.kind === "tensor" ? indices.axes.length : indices?.kind === "sizes" ? indices.rank : 0;
  if (places?.length === 1 && rank <= 1) {
    const size = numberOf(sizeOfAxis(data.axes[k]!));
    if (size === undefined) throw new Unproven("picks one position");
    const at = places[0]! < 0 ? places[0]! + size : places[0]!;
    const one = data.pair === k ? partsOf(data, k, at, at + 1) : channels(data, k, at, at + 1);
    if (rank === 1) return one;
    return {
      ...one,
      axes: one.axes.filter((_, i) => i !== k),
      pair: one.pair !== undefined && one.pair > k ? one.pair - 1 : one.pair,
      parts: one.parts.map((part) => placed(part, (axis) => (axis > k ? axis - 1 : axis))),
    };
  }
  if (indices?.kind !== "tensor" || data.pair !== undefined) throw new Unproven("picks by the length");
  return byDifference(which, data, k, indices);
};

/** https://onnx.ai/onnx/operators/onnx__GatherND.html along the first axis alone: a Gather. */
export const GatherND: Rule = ([input, indices], { batch_dims = 0 }, site) => {
  const by = tensorOf(indices);
  const last = by.axes.length - 1;
  if (batch_dims || last < 0 || by.axes[last]!.length > 0 || by.pair !== undefined)
    throw new Unproven("picks along several axes");
  return Gather([input, { ...by, axes: by.axes.slice(0, -1) }], { axis: 0 }, site);
};

/** f(i - j): rows of a function of the position, picked by places that are such differences. */
function byDifference(which: Case, data: Lines, k: number, indices: Lines): Lines {
  const [place] = indices.parts;
  if (!place || indices.pair !== undefined) throw new Unproven("picks positions in a way that is not followed");
  if (place.kind !== "index") return byFunction(which, data, k, indices, place);
  const lined = data.axes[k]!.some(isLine) ? data : asLine(data, k);
  const [body] = lined.parts;
  const size = lineAt(lined.axes, k);
  if (body?.kind !== "sequence" || !size) throw new Unproven("picks positions of what is not followed");
  const [lowest, highest] = reachOf(which, indices.axes, place);
  if (!atLeast(which, subtract(size, dim(1)), highest)) throw new NotRun("picks places behind the end of a table");
  // places below 0 are counted from the end of the axis, and are not followed
  const isWhole = atLeast(which, lowest, dim(0));
  const axesOf = [...place.coefficients];
  if (isWhole && !body.reversed && axesOf.length === 2 && axesOf.every(([, by]) => by === 1))
    return windows(which, lined, k, indices, { of: body, size, offset: place.offset });
  if (body.stream || body.gain.size > 0) throw new Unproven("picks positions of what it mixes");
  // entry p is f(p + shift), or f(size - 1 - p + shift)
  if (body.reversed && !isWhole) throw new Unproven("picks reversed positions from the end of a table");
  const shifted: Index = body.reversed
    ? {
        ...place,
        coefficients: new Map([...place.coefficients].map(([axis, by]) => [axis, -by])),
        offset: subtract(add(subtract(size, dim(1)), body.shift), place.offset),
      }
    : { ...place, offset: add(place.offset, body.shift) };
  const found = difference(shifted);
  if (!found || [...shifted.coefficients.values()].some((by) => Math.abs(by) !== 1))
    throw new Unproven("picks positions that are no differences");
  const offset = numberOf(shifted.offset)!;
  if (body.to && !atLeast(which, body.to, size)) throw new Unproven("picks positions that are not known");
  // the first entry that is known, as a difference
  const known = body.from ?? (isWhole ? undefined : dim(0));
  const from = known && numberOf(subtract(add(known, body.shift), dim(offset)));
  if (known && (from === undefined || body.reversed)) throw new Unproven("picks positions that are not known");
  return pairsAt(lined, k, indices, {
    ...found,
    key: `${keyAnywhere(body.key)}(d+${offset})`,
    from,
    first: undefined,
    reach: body.reach === undefined ? undefined : body.reach - offset,
  });
}

/** Windows of a sequence: rows that begin one place later each. */
function windows(
  which: Case,
  data: Lines,
  k: number,
  indices: Lines,
  { of, size, offset }: Pick<Windows, "of" | "size" | "offset">,
): Lines {
  const [row, column] = linesOf(indices.axes);
  const body: Windows = {
    kind: "windows",
    of: endedAt(which, of, size),
    size,
    offset,
    row: row! + k,
    column: column! + k,
  };
  return { kind: "tensor", axes: picked(data, k, indices), parts: [body], pair: undefined };
}

/** The axes of picked entries in the place of the axis along which they are picked. */
const picked = (data: Lines, k: number, indices: Lines): Axes => [
  ...data.axes.slice(0, k),
  ...indices.axes,
  ...data.axes.slice(k + 1),
];

/** The least and the largest place that an index picks. */
function reachOf(which: Case, axes: Axes, { coefficients, offset }: Index): [Dim, Dim] {
  let [lowest, highest] = [offset, offset];
  for (const [axis, by] of coefficients) {
    const size = lineAt(axes, axis);
    if (!size || !Number.isInteger(by)) throw new Unproven("picks positions that are no differences");
    const last = most(which, subtract(size, dim(1)), dim(0));
    if (by < 0) lowest = add(lowest, scale(last, by));
    else highest = add(highest, scale(last, by));
  }
  return [lowest, highest];
}

/** A row picked by any function of the difference is a function of it too, where the rows are at fixed places. */
function byFunction(which: Case, data: Lines, k: number, indices: Lines, place: Body): Lines {
  const known = difference(place);
  if (!known) throw new Unproven("picks positions in a way that is not followed");
  if (!known.isPlace) throw new Unproven("may pick from the end of a table, by places less than 0");
  const [body] = data.parts;
  const size = lineAt(data.axes, k);
  const isWhole =
    body?.kind === "fixed" ||
    (body?.kind === "sequence" &&
      size !== undefined &&
      !body.stream &&
      !body.reversed &&
      body.gain.size === 0 &&
      numberOf(body.shift) === 0 &&
      body.from === undefined &&
      (body.to === undefined || atLeast(which, body.to, size)));
  if (!isWhole) throw new Unproven("picks positions of what is not followed");
  return pairsAt(data, k, indices, {
    ...known,
    key: `${keyAnywhere(body.key)}(${known.key})`,
    first: undefined,
    reach: undefined,
    holdsFrom: undefined,
    isPlace: false,
  });
}

function pairsAt(data: Lines, k: number, indices: Lines, pairs: Pairs): Lines {
  const axes = picked(data, k, indices);
  const body = { ...pairs, row: pairs.row + k, column: pairs.column + k };
  return { kind: "tensor", axes, parts: [body], pair: undefined };
}
