/** Constants and places along a line, read as functions of the position or of the difference of two. */
import { toNumbers } from "../../graph/tensor.ts";
import { dim } from "../../time/facts/dim.ts";
import { numberOf, Unproven } from "../values/cases.ts";
import { sizeOfAxis } from "../values/rule.ts";
import {
  type Axes,
  type Body,
  type Index,
  type Lines,
  lineAt,
  linesOf,
  type Pairs,
  positionOf,
  type Sequence,
} from "../values/value.ts";

const NO_SHIFT = dim(0);

/** A constant's axis as a line of so many entries. */
export function asLine(data: Lines, k: number): Lines {
  const [body] = data.parts;
  const size = numberOf(sizeOfAxis(data.axes[k]!));
  if (lineAt(data.axes, k)) return data;
  if (body?.kind !== "fixed" || data.pair !== undefined || size === undefined)
    throw new Unproven("cuts an axis by the length that is not followed");
  const axes = data.axes.with(k, [{ line: dim(size) }]);
  if (body.zero) return { ...data, axes };
  if (linesOf(data.axes).length > 0) throw new Unproven("cuts an axis of a constant beside the time");
  const whole: Sequence = { ...positionOf(`${body.key}×${size}`, dim(size)), to: undefined, reach: size };
  return { ...data, axes, parts: [whole] };
}

/** An index along one line alone, as a function of the position. */
export function asSequence(body: Body, axes: Axes): Body {
  if (body.kind !== "index") return body;
  const [line, ...others] = linesOf(axes);
  const by = body.coefficients.get(line ?? -1);
  const from = numberOf(body.offset);
  const factors = line === undefined ? [] : axes[line]!;
  if (others.length || by === undefined || from === undefined || factors.length !== 1) return body;
  const [only] = factors;
  if (typeof only !== "object") return body;
  return positionOf(`${by}·i+${from}`, only.line);
}

/** {@link asSequence}, and what is the same in every place: zeros aside, a function of the position. */
export function asRows(body: Body, axes: Axes): Body {
  const [line, ...others] = linesOf(axes);
  const size = line === undefined ? undefined : lineAt(axes, line);
  if (body.kind === "fixed" && !body.zero && size && others.length === 0) return positionOf(`${body.key}@`, size);
  return asSequence(body, axes);
}

/** An index, or a constant number as one. */
export function indexOf(body: Body): Index | undefined {
  if (body.kind === "index") return body;
  if (body.kind !== "fixed") return undefined;
  if (body.zero) return { kind: "index", coefficients: new Map(), offset: NO_SHIFT };
  const data = body.tensor?.();
  if (data?.data.length !== 1) return undefined;
  return { kind: "index", coefficients: new Map(), offset: dim(toNumbers(data)[0]!) };
}

/** A function of i - j, where an index is such. */
export function difference(body: Body): Pairs | undefined {
  if (body.kind === "pairs") return body;
  if (body.kind !== "index") return undefined;
  const [[a, x], [b, y]] = [...body.coefficients, [-1, 0], [-1, 0]] as [[number, number], [number, number]];
  const offset = numberOf(body.offset);
  if (body.coefficients.size !== 2 || x !== -y || offset === undefined) return undefined;
  const [row, column] = x > 0 ? [a, b] : [b, a];
  return {
    kind: "pairs",
    key: `${Math.abs(x)}d+${offset}`,
    row,
    column,
    from: undefined,
    first: undefined,
    reach: undefined,
  };
}
