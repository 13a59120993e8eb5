/** How operands of an operator on the entries at the same place come together. */
import { dim, equal } from "../../time/facts/dim.ts";
import { type Case, isSame, NotRun, Unproven } from "../values/cases.ts";
import { placed, type Site, sizeOfAxis } from "../values/rule.ts";
import { type Axes, type Body, type Factor, isLine, type Lines } from "../values/value.ts";
import { asLine } from "./positions.ts";

/** Axes of operands that broadcast, and the operands with as many axes; constants lie along the lines that they meet. */
export function meet(which: Case, operands: readonly Lines[]): { axes: Axes; aligned: readonly Lines[] } {
  const rank = Math.max(...operands.map(({ axes }) => axes.length));
  const aligned = operands.map((operand): Lines => {
    const by = rank - operand.axes.length;
    return {
      ...operand,
      axes: [...Array.from({ length: by }, () => []), ...operand.axes],
      parts: operand.parts.map((part) => placed(part, (axis) => axis + by)),
      pair: operand.pair === undefined ? undefined : operand.pair + by,
    };
  });
  const axes = Array.from({ length: rank }, (_, k) =>
    aligned.map((operand) => operand.axes[k]!).reduce((a, b) => meetAxes(which, a, b)),
  );
  return { axes, aligned: aligned.map((operand) => alongLines(operand, axes)) };
}

/** The axis that two make, of which a line is the one that grows. @throws NotRun where they cannot meet */
export function meetAxes(which: Case, a: readonly Factor[], b: readonly Factor[]): readonly Factor[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  if (sameFactors(which, a, b)) return a.some(isLine) ? a : b;
  const [x, y] = [sizeOfAxis(a), sizeOfAxis(b)];
  if (!a.some(isLine) && !b.some(isLine)) throw new Unproven("meets axes that differ");
  if (x.batch || x.product || y.batch || y.product || isSame(which, x, y))
    throw new Unproven("meets axes that are put together in another way");
  const one = dim(1);
  if (isSame(which, x, one) || isSame(which, y, one)) throw new Unproven("stretches an axis that has one entry");
  throw new NotRun(`meets axes of different sizes from length ${which.from} on`);
}

/** Whether axes are made of the same factors, so that the same place in one is the same in the other. */
function sameFactors(which: Case, a: readonly Factor[], b: readonly Factor[]): boolean {
  const [x, y] = [joined(a), joined(b)];
  if (x.length !== y.length) return false;
  return x.every((factor, i) => {
    const other = y[i]!;
    if (factor === "batch" || other === "batch") return factor === other;
    if (typeof factor === "number" && typeof other === "number") return factor === other;
    // channels are as many as positions at some length; beside other factors that is no matter
    if (x.length > 1 && (typeof factor === "number" || typeof other === "number")) return false;
    const [size, otherSize] = [sizeOfAxis([factor]), sizeOfAxis([other])];
    return equal(size, otherSize) || isSame(which, size, otherSize);
  });
}

/** Channels side by side are one number. */
function joined(axis: readonly Factor[]): readonly Factor[] {
  const factors: Factor[] = [];
  for (const factor of axis) {
    const last = factors.at(-1);
    if (typeof last === "number" && typeof factor === "number") factors[factors.length - 1] = last * factor;
    else factors.push(factor);
  }
  return factors;
}

/** Constants with an entry for each place of a line are functions of the position. */
function alongLines(operand: Lines, axes: Axes): Lines {
  const [k, ...others] = axes.flatMap((axis, i) => {
    const own = operand.axes[i]!;
    return axis.some(isLine) && own.length > 0 && !own.some(isLine) ? [i] : [];
  });
  if (k === undefined) return operand;
  if (others.length > 0) throw new Unproven("meets a constant that differs along two lines");
  return asLine(operand, k);
}

/** What an operator makes of two bodies whose axes meet. */
export type Binary = (site: Site, a: Body, b: Body, axes: Axes) => Body;

/** Applies an operator of two tensors to their bodies, part by part where they have real and imaginary parts. */
export function binary(site: Site, a: Lines, b: Lines, of: Binary): Lines {
  const { axes, aligned } = meet(site.which, [a, b]);
  const [x, y] = aligned as [Lines, Lines];
  const pair = x.pair ?? y.pair;
  if (pair === undefined) return { kind: "tensor", axes, parts: [of(site, x.parts[0]!, y.parts[0]!, axes)], pair };
  const partsOf = (operand: Lines): readonly Body[] => {
    if (operand.pair === pair) return operand.parts;
    if (operand.pair === undefined && operand.axes[pair]!.length === 0) return [operand.parts[0]!, operand.parts[0]!];
    throw new Unproven("multiplies real and imaginary parts by numbers of their own");
  };
  const [xs, ys] = [partsOf(x), partsOf(y)];
  return { kind: "tensor", axes, parts: [0, 1].map((i) => of(site, xs[i]!, ys[i]!, axes)), pair };
}
