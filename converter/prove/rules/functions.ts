/** Operators of which nothing is known but that they work on the entries at the same place. */
import { toNumbers } from "../../graph/tensor.ts";
import { numberOf, Unproven } from "../values/cases.ts";
import { type Rule, type Site, tensorOf } from "../values/rule.ts";
import { mapped } from "../values/sequence.ts";
import { type Axes, type Body, type Fixed, lineAt, linesOf, type Pairs, tensor } from "../values/value.ts";
import { meet } from "./broadcast.ts";
import { operand } from "./operand.ts";
import { asSequence, difference, indexOf } from "./positions.ts";

export const fixedBody = (key: string): Fixed => ({ kind: "fixed", key, zero: false, tensor: undefined });

/** Zeros, whatever shape they have. */
export const isZero = (body: Body): boolean => body.kind === "fixed" && body.zero;

/** Zeros, or the number 0. */
export function isZeroValue(body: Body): boolean {
  if (body.kind !== "fixed") return false;
  const data = body.zero ? undefined : body.tensor?.();
  return body.zero || (data?.data.length === 1 && toNumbers(data)[0] === 0);
}

/** A sum, difference (also of Booleans) or product of functions of the same difference of positions. */
export function bothPairs(a: Pairs, b: Pairs, how: string): Pairs {
  if (a.row === b.column && a.column === b.row)
    throw new Unproven("combines differences of positions with turned ones");
  if (a.row !== b.row || a.column !== b.column) throw new Unproven("combines differences of other axes");
  const from = a.from === undefined ? b.from : b.from === undefined ? a.from : Math.max(a.from, b.from);
  const isProduct = how === "*";
  const bound = (
    x: number | undefined,
    y: number | undefined,
    ofProduct: typeof Math.min,
    ofSum: typeof Math.min,
  ): number | undefined => {
    if (x === undefined || y === undefined) return isProduct ? (x ?? y) : undefined;
    return isProduct ? ofProduct(x, y) : ofSum(x, y);
  };
  const first = bound(a.first, b.first, Math.max, Math.min);
  const reach = bound(a.reach, b.reach, Math.min, Math.max);
  // where a factor is 0 nothing need be known of the other
  const known = isProduct && first !== undefined && from !== undefined && first >= from ? undefined : from;
  return { kind: "pairs", key: `(${a.key}${how}${b.key})`, row: a.row, column: a.column, from: known, first, reach };
}

/** Some function of bodies: another function of the position, or of the difference of two. */
export function ofPosition({ which }: Site, op: string, bodies: readonly Body[], axes: Axes): Body {
  const pairs = bodies.map(difference);
  if (pairs.some((each) => each)) {
    const known = bodies.map((body, i) => pairs[i] ?? (body.kind === "fixed" ? body : undefined));
    if (!known.every((each) => each !== undefined))
      throw new Unproven(`takes in positions in a way that is not followed`);
    const [first, ...others] = pairs.filter((each) => each !== undefined);
    const met = others.reduce((a, b) => bothPairs(a, b, op), first!);
    const key = `${op}(${known.map((each) => each.key).join()})`;
    return { ...met, key, first: undefined, reach: undefined, holdsFrom: undefined, isPlace: false };
  }
  const rows = bodies.map((body) => asSequence(body, axes));
  const key = `${op}(${rows.map((each) => ("key" in each ? each.key : "?")).join()})`;
  if (rows.every((each) => each.kind === "fixed")) return fixedBody(key);
  const sequences = rows.filter((each) => each.kind === "sequence");
  const line = linesOf(axes)[0];
  const size = line === undefined ? undefined : lineAt(axes, line);
  if (!size || rows.some((each) => each.kind !== "sequence" && each.kind !== "fixed"))
    throw new Unproven("works on what it mixes, or on what is not followed");
  return mapped(which, sequences, key, size);
}

/** Any operator that works on the entries at the same place alone. */
export const generic: Rule = (inputs, _attributes, site) => {
  const operands = inputs.map((input) => tensorOf(operand(input, undefined)));
  if (operands.some(({ pair }) => pair !== undefined)) throw new Unproven("works on real and imaginary parts");
  const { axes, aligned } = meet(site.which, operands);
  const { op, attributes } = site.node;
  const name = `${op}${JSON.stringify(attributes, (_key, value) => (typeof value === "bigint" ? Number(value) : value))}`;
  const bodies = aligned.map(({ parts }) => parts[0]!);
  const body = ofPosition(site, name.replaceAll("[", "⟦"), bodies, axes);
  return tensor(axes, body.kind === "pairs" ? { ...body, isPlace: isNeverNegative(op, bodies) } : body);
};

/** max(d, 0), |d|: never less than 0. */
function isNeverNegative(op: string, bodies: readonly Body[]): boolean {
  const numberAt = (body: Body | undefined) => {
    const offset = body?.kind === "fixed" ? indexOf(body)?.offset : undefined;
    return offset && numberOf(offset);
  };
  const atLeastZero = (body: Body | undefined) => (numberAt(body) ?? -1) >= 0;
  if (op === "Clip") return atLeastZero(bodies[1]) && (bodies.length < 3 || atLeastZero(bodies[2]));
  return op === "Abs" || op === "Relu" || (op === "Max" && bodies.some(atLeastZero));
}
