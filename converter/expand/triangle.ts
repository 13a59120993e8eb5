/**
 * Which pairs of positions a square matrix made of the length holds: a triangle, whatever it is spelled as (`Trilu` of ones, positions
 * that are compared, truth values cast, a softmax of a mask).
 */
import type { Node } from "../graph/graph.ts";
import { DataType, type Tensor, toNumbers } from "../graph/tensor.ts";
import type { Site } from "./expansion.ts";

const INFINITY = Number.POSITIVE_INFINITY;

/** The pairs (row i, column j) with `from` ≤ j - i ≤ `to`. */
export interface Band {
  readonly from: number;
  readonly to: number;
}

/** A matrix that is one number at the pairs of a band, and another at all others; element type as ONNX numbers it. */
export interface Banded {
  readonly band: Band;
  readonly inside: number;
  readonly outside: number;
  readonly type: number;
}

export const LOWER: Band = { from: -INFINITY, to: 0 };
export const UPPER: Band = { from: 0, to: INFINITY };
const sameBand = (a: Band, b: Band): boolean => a.from === b.from && a.to === b.to;

/** All other pairs, where they are a band as well. */
const others = ({ from, to }: Band): Band | undefined =>
  from === -INFINITY ? { from: to + 1, to: INFINITY } : to === INFINITY ? { from: -INFINITY, to: from - 1 } : undefined;

/** The same matrix, said of the pairs of this band; undefined where it is another one. */
export function saidOf(band: Band, of: Banded | undefined): Banded | undefined {
  if (!of || sameBand(of.band, band)) return of;
  const rest = others(of.band);
  return rest && sameBand(rest, band) ? { ...of, band, inside: of.outside, outside: of.inside } : undefined;
}

/** What a matrix holds; undefined where no rule says so. */
export function bandedOf(site: Site, name: string): Banded | undefined {
  const node = site.producerOf(name);
  return node?.domain === "" ? RULES[node.op]?.(site, node) : undefined;
}

type Rule = (site: Site, node: Node) => Banded | undefined;

/** [n, n] of one number. */
function filled(site: Site, node: Node | undefined): { value: number; type: number } | undefined {
  if (node?.domain !== "") return undefined;
  if (node.op === "ConstantOfShape") {
    const tensor = node.attributes.value as Tensor | undefined;
    return isSquare(site, node.inputs[0]!, node.outputs[0]!)
      ? { value: tensor ? toNumbers(tensor)[0]! : 0, type: tensor?.type ?? DataType.FLOAT }
      : undefined;
  }
  if (node.op === "Expand") {
    const [value, type] = [site.numberOf(node.inputs[0]!), site.typeOf(node.inputs[0]!)];
    const square = isSquare(site, node.inputs[1]!, node.outputs[0]!);
    return value !== undefined && type !== undefined && square ? { value, type } : undefined;
  }
  return undefined;
}

/** Whether both axes of what has this shape are of one size. */
function isSquare(site: Site, shape: string, made: string): boolean {
  const sizes = site.sizesOf(made);
  if (sizes) return sizes.length === 2 && typeof sizes[0] === "string" && sizes[0] === sizes[1];
  const { op, domain, inputs = [] } = site.producerOf(shape) ?? {};
  return op === "Concat" && domain === "" && inputs.length === 2 && sameSize(site, inputs[0]!, inputs[1]!);
}

/** Whether two sizes are computed alike. */
function sameSize(site: Site, a: string, b: string): boolean {
  if (a === b) return true;
  const [one, other] = [site.producerOf(a), site.producerOf(b)];
  if (!one || !other) {
    const [p, q] = [site.numbersOf(a), site.numbersOf(b)];
    return p !== undefined && q !== undefined && p.join() === q.join();
  }
  const alike = one.op === other.op && one.domain === other.domain && one.inputs.length === other.inputs.length;
  const attributes = ({ attributes: own }: Node) => JSON.stringify(own, (_, v) => (typeof v === "bigint" ? `${v}` : v));
  return (
    alike &&
    attributes(one) === attributes(other) &&
    one.inputs.every((each, i) => sameSize(site, each, other.inputs[i]!))
  );
}

const Trilu: Rule = (site, { inputs, attributes }) => {
  const k = inputs[1] ? site.numberOf(inputs[1]) : 0;
  const of = filled(site, site.producerOf(inputs[0]!));
  if (k === undefined || !of || of.value === 0) return undefined;
  const isUpper = Number(attributes.upper ?? 1) !== 0;
  const band = isUpper ? { from: k, to: INFINITY } : { from: -INFINITY, to: k };
  return { band, inside: of.value, outside: 0, type: of.type };
};

/** Positions along an axis: 0 of [n, 1], 1 of [n] and [1, n]; with the node that counts them. */
function counted(site: Site, name: string): { axis: 0 | 1; range: Node } | undefined {
  const node = site.producerOf(name);
  if (node?.domain !== "") return undefined;
  if (node.op === "Range")
    return site.numberOf(node.inputs[0]!) === 0 && site.numberOf(node.inputs[2]!) === 1
      ? { axis: 1, range: node }
      : undefined;
  const before = node.inputs[0] ? counted(site, node.inputs[0]) : undefined;
  if (before?.axis !== 1) return undefined;
  if (node.op === "Cast") return before;
  const [axis, ...more] = node.op === "Unsqueeze" ? (site.numbersOf(node.inputs[1] ?? "") ?? []) : [];
  if (axis === undefined || more.length > 0 || site.producerOf(node.inputs[0]!)?.op === "Unsqueeze") return undefined;
  return axis === 0 || axis === -2 ? before : axis === 1 || axis === -1 ? { ...before, axis: 0 } : undefined;
}

/** @param from of (second - first) where it holds */
const compared =
  (from: number, to: number): Rule =>
  (site, { inputs }) => {
    const [a, b] = inputs.map((name) => counted(site, name));
    if (a && b && a.axis !== b.axis && sameSize(site, a.range.outputs[0]!, b.range.outputs[0]!)) {
      const band = a.axis === 0 ? { from, to } : { from: -to, to: -from };
      return { band, inside: 1, outside: 0, type: DataType.BOOL };
    }
    return undefined;
  };

/** A matrix of two numbers against a number. */
const against =
  (holds: (a: number, b: number) => boolean, otherwise: Rule = () => undefined): Rule =>
  (site, node) => {
    const [banded, number] = [bandedOf(site, node.inputs[0]!), site.numberOf(node.inputs[1]!)];
    if (!banded || number === undefined) return otherwise(site, node);
    const [inside, outside] = [holds(banded.inside, number), holds(banded.outside, number)].map(Number);
    return { ...banded, inside: inside!, outside: outside!, type: DataType.BOOL };
  };

const RULES: Readonly<Record<string, Rule>> = {
  Trilu,
  Identity: (site, { inputs }) => bandedOf(site, inputs[0]!),
  Cast(site, { inputs, attributes }) {
    const of = bandedOf(site, inputs[0]!);
    const type = Number(attributes.to);
    const truth = (value: number) => (type === DataType.BOOL ? Number(value !== 0) : value);
    return of && { ...of, type, inside: truth(of.inside), outside: truth(of.outside) };
  },
  Not(site, { inputs }) {
    const of = bandedOf(site, inputs[0]!);
    return of && { ...of, inside: 1 - of.inside, outside: 1 - of.outside };
  },
  Where(site, { inputs: [condition, a, b] }) {
    const of = bandedOf(site, condition!);
    const typed = (name: string) => site.typeOf(name) ?? filled(site, site.producerOf(name))?.type;
    const type = typed(a!) ?? typed(b!);
    const [yes, no] = [numberIn(site, a!, of), numberIn(site, b!, of)];
    if (!of || type === undefined || !yes || !no) return undefined;
    return { ...of, type, inside: (of.inside ? yes : no).inside, outside: (of.outside ? yes : no).outside };
  },
  // row - column, so second - first is column - row
  GreaterOrEqual: against((a, b) => a >= b, compared(-INFINITY, 0)),
  Greater: against((a, b) => a > b, compared(-INFINITY, -1)),
  LessOrEqual: against((a, b) => a <= b, compared(0, INFINITY)),
  Less: against((a, b) => a < b, compared(1, INFINITY)),
  Equal: against((a, b) => a === b),
};

/** A number, or a matrix of one number, or of two at the same pairs. */
function numberIn(site: Site, name: string, of: Banded | undefined): { inside: number; outside: number } | undefined {
  const number = site.numberOf(name) ?? filled(site, site.producerOf(name))?.value;
  if (number !== undefined) return { inside: number, outside: number };
  const banded = bandedOf(site, name);
  return of && saidOf(of.band, banded);
}
