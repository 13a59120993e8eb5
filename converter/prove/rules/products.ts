/** Products and quotients of entries at the same place. */
import { DataType, toNumbers } from "../../graph/tensor.ts";
import { scale } from "../../time/facts/dim.ts";
import { atLeast, type Case, isSame, numberOf, Unproven } from "../values/cases.ts";
import { factored, scaled, times } from "../values/poly.ts";
import { isIntegerOutput, type Site } from "../values/rule.ts";
import { multiplied, weighted, withGain } from "../values/sequence.ts";
import type { Poly } from "../values/value.ts";
import {
  type Body,
  type Fixed,
  type Gain,
  gainOf,
  type Index,
  type Lines,
  type Spectrum,
  timesGain,
  type Value,
} from "../values/value.ts";
import type { Binary } from "./broadcast.ts";
import { bothPairs, fixedBody, isZero, ofPosition } from "./functions.ts";
import { asSequence, difference, indexOf } from "./positions.ts";

/** a · b */
export const product: Binary = (site, a, b, axes) => {
  if (isZero(a) || isZero(b)) return { ...fixedBody("0"), zero: true };
  const scaledIndex = timesNumber(site, a, b) ?? timesNumber(site, b, a);
  if (scaledIndex) return scaledIndex;
  const [d, e] = [difference(a), difference(b)];
  if (d && e) return bothPairs(d, e, "*");
  const [pairs, other] = d ? [d, b] : [e, a];
  if (pairs) {
    if (other.kind !== "fixed")
      throw new Unproven("multiplies differences of positions by what is no function of them");
    return { ...pairs, key: `(${pairs.key}*${other.key})`, holdsFrom: undefined, isPlace: false };
  }
  const [x, y] = [asSequence(a, axes), asSequence(b, axes)];
  if (x.kind === "fixed" && y.kind === "fixed") return fixedBody(`(${x.key}*${y.key})`);
  if (x.kind === "sequence" && y.kind === "fixed") return weighted(x, y.key);
  if (y.kind === "sequence" && x.kind === "fixed") return weighted(y, x.key);
  if (x.kind === "sequence" && y.kind === "sequence") return multiplied(site.which, x, y);
  if (x.kind === "spectrum" && y.kind === "spectrum") {
    refuseOtherPoints(site, x, y);
    return { ...x, poly: times(x.poly, y.poly), gain: timesGain(x.gain, y.gain) };
  }
  if (x.kind === "spectrum" && y.kind === "fixed") return { ...x, poly: weightedPoly(x.poly, y) };
  if (y.kind === "spectrum" && x.kind === "fixed") return { ...y, poly: weightedPoly(y.poly, x) };
  throw new Unproven("multiplies what is not followed");
};

/** Places times a whole number; in floats of which differences stay exact: others are functions of the position. */
function timesNumber(site: Site, a: Body, b: Body): Index | undefined {
  const by = a.kind === "index" && b.kind === "fixed" ? indexOf(b) : undefined;
  const number = by && numberOf(by.offset);
  if (number === undefined || a.kind !== "index" || !Number.isInteger(number)) return undefined;
  if (Math.abs(number) > 1 && !isIntegerOutput(site)) return undefined;
  return {
    kind: "index",
    coefficients: new Map([...a.coefficients].map(([axis, times]) => [axis, times * number])),
    offset: scale(a.offset, number),
  };
}

function weightedPoly(poly: Poly, body: Fixed): Poly {
  const data = body.tensor?.();
  return data?.data.length === 1 ? scaled(poly, toNumbers(data)[0]!) : factored(poly, body.key);
}

/** @throws Unproven where two transforms are not over the same points */
export function refuseOtherPoints({ which }: Site, a: Spectrum, b: Spectrum): void {
  if (a.onesided !== b.onesided || !isSame(which, a.points, b.points))
    throw new Unproven("combines transforms of different numbers of points");
}

/** a / b. Whole numbers are rounded, which is another function of them. */
export const quotient: Binary = (site, a, b, axes) => {
  if (b.kind !== "fixed" || isZero(b)) throw new Unproven("divides by what is not followed");
  if (isZero(a)) return a;
  return isIntegerOutput(site) ? ofPosition(site, "Div", [a, b], axes) : product(site, a, inverted(b), axes);
};

function inverted(body: Fixed): Fixed {
  const data = body.tensor?.();
  const single = data?.data.length === 1 ? toNumbers(data)[0]! : undefined;
  const tensor =
    single === undefined ? undefined : () => ({ ...data!, type: DataType.DOUBLE, data: Float64Array.of(1 / single) });
  return { ...body, key: `1/${body.key}`, tensor };
}

/** The powers of a size, which must be positive to have roots and inverses. */
export function gainOfSize(which: Case, size: Parameters<typeof gainOf>[0]): Gain {
  if (!atLeast(which, size, { constant: 1, batch: 0, time: 0, product: 0 }))
    throw new Unproven("calculates with a number made of the length that may be 0 or less");
  return gainOf(size, 1);
}

/** A tensor times or by a number made of sizes. */
export function withScalar(site: Site, value: Lines, other: Value, by: 1 | -1): Lines {
  const [size, ...more] = other.kind === "sizes" ? other.values : [];
  if (more.length > 0) throw new Unproven("multiplies by several numbers made of the length");
  if (other.kind === "scalar" && other.log) throw new Unproven("multiplies by the logarithm of the length");
  if (isIntegerOutput(site)) throw new Unproven("scales whole numbers by a number made of the length");
  const gain = size ? gainOfSize(site.which, size) : other.kind === "scalar" ? other.gain : undefined;
  if (!gain) throw new Unproven("multiplies by what is not followed");
  return {
    ...value,
    parts: value.parts.map((part) => {
      if (part.kind === "fixed" && part.zero) return part;
      if (part.kind === "sequence" && !part.biased) return withGain(part, gain, by);
      if (part.kind === "spectrum") return { ...part, gain: timesGain(part.gain, gain, by) };
      throw new Unproven("multiplies by a number made of the length");
    }),
  };
}
