/** Between which numbers a value lies that is not known: what is hidden stays so only beside what is not as large. */
import { ANY, type Bounds, HIDDEN, isNumber, type Value } from "./value.ts";

/** A score beside which what hides still hides. */
const LARGE = 1e4;

/** Undefined where a value has no bounds that are known. */
function boundsOf(value: Value): Bounds | undefined {
  if (value.kind === "hidden") return [Number.NEGATIVE_INFINITY, -LARGE];
  if (value.kind === "truth") return [Number(value.value), Number(value.value)];
  if (value.kind === "any") return value.between;
  return value.kind === "linear" && isNumber(value) ? [value.c, value.c] : undefined;
}

const between = (bounds: readonly number[]): Value =>
  bounds.some(Number.isNaN) ? ANY : { kind: "any", between: [Math.min(...bounds), Math.max(...bounds)] };

const combined = (x: Value, y: Value, of: (a: Bounds, b: Bounds) => readonly number[]): Value => {
  const [a, b] = [boundsOf(x), boundsOf(y)];
  return a && b ? between(of(a, b)) : ANY;
};

/** What an operator makes of values of which one at least is anything. */
export function bounded(op: string, x: Value, y: Value): Value {
  switch (op) {
    case "Add":
      return combined(x, y, (a, b) => [a[0] + b[0], a[1] + b[1]]);
    case "Sub":
      return combined(x, y, (a, b) => [a[0] - b[1], a[1] - b[0]]);
    case "Mul":
      return combined(x, y, (a, b) => a.flatMap((one) => b.map((other) => one * other)));
    default:
      return combined(x, y, (a, b) => [...a, ...b]);
  }
}

/** What hides, with something added to it, or with `taken` away. */
export function stillHidden(other: Value, taken = false): Value {
  if (other.kind === "score" || (other.kind === "linear" && !isNumber(other))) return HIDDEN;
  const [least, most] = boundsOf(other) ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  return (taken ? -least : most) <= LARGE ? HIDDEN : ANY;
}
