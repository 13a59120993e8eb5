/** Sums and differences of entries at the same place. */
import { add, subtract } from "../../time/facts/dim.ts";
import { Unproven } from "../values/cases.ts";
import { plus } from "../values/poly.ts";
import { mapped, summed, weighted } from "../values/sequence.ts";
import {
  type Axes,
  type Body,
  type Fixed,
  gainKey,
  type Index,
  lineAt,
  linesOf,
  type Sequence,
} from "../values/value.ts";
import type { Binary } from "./broadcast.ts";
import { bothPairs, fixedBody, isZero, ofPosition } from "./functions.ts";
import { asSequence, difference, indexOf } from "./positions.ts";
import { refuseOtherPoints } from "./products.ts";

const sign = (by: 1 | -1) => (by > 0 ? "+" : "-");

/** a + b, or a - b. */
export const sum =
  (by: 1 | -1): Binary =>
  (site, a, b, axes) => {
    if (isZero(b)) return a;
    if (isZero(a) && by > 0) return b;
    if (a.kind === "index" || b.kind === "index") {
      const moved = sumOfIndices(a, b, by);
      if (moved && isWhole(moved)) return moved;
      if (difference(a) || difference(b)) return ofPosition(site, sign(by), [a, b], axes);
      return sum(by)(site, asSequenceOrRefuse(a, axes), asSequenceOrRefuse(b, axes), axes);
    }
    if (a.kind === "fixed" && b.kind === "fixed") return fixedBody(`(${a.key}${sign(by)}${b.key})`);
    if (a.kind === "sequence" && b.kind === "sequence") {
      // what is added to the stream at each position must be the same
      if (a.stream !== b.stream) throw new Unproven("adds a function of the position to what it mixes");
      return summed(site.which, a, b, by);
    }
    if (a.kind === "sequence" && b.kind === "fixed") return biased(site.which, a, b, sign(by), axes);
    if (b.kind === "sequence" && a.kind === "fixed")
      return biased(site.which, by > 0 ? b : weighted(b, "-1"), a, "+", axes);
    if (a.kind === "spectrum" && b.kind === "spectrum") {
      refuseOtherPoints(site, a, b);
      if (gainKey(a.gain) !== gainKey(b.gain)) throw new Unproven("adds transforms of different scale");
      return { ...a, poly: plus(a.poly, b.poly, by) };
    }
    if (a.kind === "pairs" && b.kind === "pairs") return bothPairs(a, b, sign(by));
    // with a number added it is a function of the difference still
    if (a.kind === "pairs" || b.kind === "pairs") return ofPosition(site, sign(by), [a, b], axes);
    throw new Unproven("adds what is not followed");
  };

/** Fractions beside places are rounded in float32, each at its own place. */
const isWhole = ({ coefficients, offset }: Index): boolean =>
  [...coefficients.values(), offset.constant, offset.time].every(Number.isInteger);

function asSequenceOrRefuse(body: Body, axes: Axes): Body {
  const sequence = asSequence(body, axes);
  if (sequence.kind === "index") throw new Unproven("uses places along time as values");
  return sequence;
}

/** With the same number added in every place. */
function biased(which: Parameters<typeof mapped>[0], s: Sequence, { key }: Fixed, how: string, axes: Axes): Sequence {
  if (s.gain.size > 0) throw new Unproven("adds to what is scaled by a number made of the length");
  if (s.stream) return { ...s, key: `(${s.key}${how}${key})`, biased: true };
  const [line] = linesOf(axes);
  const size = line === undefined ? undefined : lineAt(axes, line);
  if (!size) throw new Unproven("adds along an axis that is more than the time");
  return mapped(which, [s], `(${s.key}${how}${key})`, size);
}

/** Sums of indices are indices. */
export function sumOfIndices(a: Body, b: Body, by: 1 | -1): Index | undefined {
  const [x, y] = [indexOf(a), indexOf(b)];
  if (!x || !y) return undefined;
  const coefficients = new Map(x.coefficients);
  for (const [axis, times] of y.coefficients) coefficients.set(axis, (coefficients.get(axis) ?? 0) + by * times);
  const offset = by > 0 ? add(x.offset, y.offset) : subtract(x.offset, y.offset);
  return { kind: "index", coefficients: new Map([...coefficients].filter(([, times]) => times !== 0)), offset };
}
