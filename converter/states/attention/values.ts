/** What elementwise operators, triangles and tables make of values between queries and keys. */
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import { ELEMENTWISE } from "../../time/rules/elementwise.ts";
import { bounded, stillHidden } from "./bounds.ts";
import {
  ANY,
  BIT,
  HIDDEN,
  isNumber,
  isZero,
  type Linear,
  number,
  type Region,
  SCORE,
  truth,
  type Value,
} from "./value.ts";

/** The pairs of a region within a table of so many rows and columns; of a table with one axis, its entries. */
export function* pairsIn(
  rows: number,
  keys: number,
  { first, behind, exactly }: Region,
): Iterable<readonly [number, number]> {
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < keys; j++) {
      const apart = first === "query" ? j - i : i - j;
      if (exactly ? apart === behind : apart >= behind) yield [i, j];
    }
}

/** A linear form by what it is at the first pair, and how it grows with the earlier position and with the distance. */
function along({ a, b, c }: Linear, { first, behind, exactly }: Region) {
  const far = first === "query" ? b : a;
  return { least: far * behind + c, grows: exactly ? [a + b] : [a + b, far] };
}

/** Whether it is not below 0, or not above it, everywhere. */
const isAtLeast = (form: Linear, region: Region): boolean => {
  const { least, grows } = along(form, region);
  return least >= 0 && grows.every((by) => by >= 0);
};
const isAtMost = (form: Linear, region: Region): boolean => {
  const { least, grows } = along(form, region);
  return least <= 0 && grows.every((by) => by <= 0);
};

/** The sign where it is the same everywhere. */
function signOf(form: Linear, region: Region): number | undefined {
  const { least, grows } = along(form, region);
  if (grows.every((by) => by === 0)) return Math.sign(least);
  if (least > 0 && isAtLeast(form, region)) return 1;
  return least < 0 && isAtMost(form, region) ? -1 : undefined;
}

const summed = (x: Linear, y: Linear, by: number): Linear => ({
  kind: "linear",
  a: x.a + by * y.a,
  b: x.b + by * y.b,
  c: x.c + by * y.c,
});

/** A number may be so low that it hides. */
const low = (value: Linear): Value => (isNumber(value) ? number(value.c) : value);

const ZERO: Linear = { kind: "linear", a: 0, b: 0, c: 0 };

/** A truth value as a number, where it is one. */
const asNumber = (value: Value): Value => (value.kind === "truth" ? number(value.value ? 1 : 0) : value);

/** Whether it is a number of a size that leaves a score one. */
const isShown = (value: Value | undefined): boolean => value?.kind === "score" || value?.kind === "linear";

/** Types that hold positions as they are. */
const HOLDS = new Set<number>([DataType.FLOAT, DataType.DOUBLE, DataType.INT32, DataType.INT64]);
const WHOLE = new Set<number>([DataType.INT32, DataType.INT64]);
/** May make a score that hides, or no number, of one that does not. */
const STRETCHES = new Set(["Log", "Reciprocal", "Div", "Mod", "Tan", "Exp"]);

const COMPARE: Readonly<Record<string, (d: Linear, region: Region) => boolean | undefined>> = {
  Greater: (d, region) => (signOf(d, region) === 1 ? true : isAtMost(d, region) ? false : undefined),
  GreaterOrEqual: (d, region) => (isAtLeast(d, region) ? true : signOf(d, region) === -1 ? false : undefined),
  Less: (d, region) => (signOf(d, region) === -1 ? true : isAtLeast(d, region) ? false : undefined),
  LessOrEqual: (d, region) => (isAtMost(d, region) ? true : signOf(d, region) === 1 ? false : undefined),
  Equal: (d, region) => {
    const sign = signOf(d, region);
    return sign === undefined ? undefined : sign === 0;
  },
};

/** What an elementwise operator makes of values; undefined where it is none. */
export function elementwise(node: Node, inputs: readonly Value[], region: Region): Value | undefined {
  const [x, y, z] = inputs;
  const [p, q] = inputs.slice(0, 2).map(asNumber);
  const both = p?.kind === "linear" && q?.kind === "linear" ? ([p, q] as const) : undefined;
  const compare = COMPARE[node.op];
  if (compare) {
    const apart = both && summed(both[0], both[1], -1);
    if (apart?.a && apart.a === -apart.b) region.turns?.(-apart.c / apart.a);
    const decided = apart && compare(apart, region);
    return decided === undefined ? BIT : truth(decided);
  }
  const isLow = inputs.map((value) => value.kind === "hidden");
  const isScore = inputs.every(isShown);
  const shown = isScore ? SCORE : y ? bounded(node.op, x!, y) : ANY;
  switch (node.op) {
    case "Add":
      if (isLow.includes(true)) return stillHidden(isLow[0] ? y! : x!);
      return both ? low(summed(both[0], both[1], 1)) : shown;
    case "Sub":
      if (isLow[0]) return stillHidden(y!, true);
      return both ? low(summed(both[0], both[1], -1)) : shown;
    case "Neg":
      return p?.kind === "linear" ? summed(ZERO, p, -1) : shown;
    case "Mul": {
      if (isZero(p) || isZero(q)) return number(0);
      const [factor, other] = isNumber(p) ? [p, q] : [q, p];
      if (!isNumber(factor)) return shown;
      if (other?.kind === "hidden") return factor.c > 0 ? HIDDEN : ANY;
      return other?.kind === "linear" ? low(summed(ZERO, other, factor.c)) : shown;
    }
    case "Div":
      if (isZero(x)) return x!;
      if (isNumber(q) && q.c > 0 && isLow[0]) return HIDDEN;
      return isScore && isNumber(q) && q.c !== 0 ? SCORE : ANY;
    case "Pow":
      return isNumber(q) && Number.isInteger(q.c) && q.c > 0 && isScore ? SCORE : ANY;
    case "Max":
      return isLow.every(Boolean) ? HIDDEN : shown;
    case "Min":
      return isLow.includes(true) ? HIDDEN : shown;
    case "Log":
      return isZero(p) ? HIDDEN : isNumber(p) && p.c > 0 ? number(Math.log(p.c)) : ANY;
    case "Mod":
      return isZero(p) && isNumber(q) && q.c !== 0 ? number(0) : ANY;
    case "IsNaN":
      return x!.kind === "linear" || x!.kind === "hidden" ? truth(false) : shown;
    case "Not":
      return x!.kind === "truth" ? truth(!x!.value) : BIT;
    case "And":
      if (inputs.some((value) => value.kind === "truth" && !value.value)) return truth(false);
      return x!.kind === "truth" && y!.kind === "truth" ? truth(true) : BIT;
    case "Or":
      if (inputs.some((value) => value.kind === "truth" && value.value)) return truth(true);
      return x!.kind === "truth" && y!.kind === "truth" ? truth(false) : BIT;
    case "Where":
      if (x!.kind === "truth") return x!.value ? y! : z!;
      if (y!.kind === "hidden" && z!.kind === "hidden") return HIDDEN;
      return isShown(y) && isShown(z) ? SCORE : bounded(node.op, y!, z!);
    case "Cast":
      return cast(x!, Number(node.attributes.to), region);
    case "Relu":
    case "Sigmoid":
    case "Softplus":
      return isLow[0] ? number(0) : shown;
    default:
      if (!ELEMENTWISE.rules[node.op]) return undefined;
      return STRETCHES.has(node.op) || !isScore ? ANY : SCORE;
  }
}

/** What is left of a value by a triangle: what is `by` or more behind the diagonal, or before it; else 0. */
export function triangle(x: Value, upper: boolean, by: number, region: Region): Value {
  // whether j - i is at least `by`, or at most, as a comparison would say
  const apart: Value = { kind: "linear", a: -1, b: 1, c: -by };
  const kept = elementwise({ op: upper ? "GreaterOrEqual" : "LessOrEqual" } as Node, [apart, number(0)], region);
  if (kept?.kind !== "truth") return ANY;
  return kept.value ? x : x.kind === "truth" ? truth(false) : number(0);
}

function cast(x: Value, to: number, region: Region): Value {
  if (to === DataType.BOOL) {
    if (x.kind === "hidden") return truth(true);
    const sign = x.kind === "linear" ? signOf(x, region) : undefined;
    return x.kind === "truth" ? x : sign === undefined ? BIT : truth(sign !== 0);
  }
  const value = asNumber(x);
  if (value.kind !== "linear") return value.kind === "hidden" && WHOLE.has(to) ? ANY : value;
  const isWhole = [value.a, value.b, value.c].every(Number.isInteger);
  if (WHOLE.has(to) && !isWhole) return ANY;
  return isNumber(value) || HOLDS.has(to) ? value : ANY;
}
