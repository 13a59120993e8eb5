/** Fourier transforms along time. */
import { add, dim, subtract } from "../../time/dim.ts";
import { atLeast, floor, isSame, numberOf, Unproven } from "../cases.ts";
import { atom, type Poly, plus, productsOf, times as timesPoly } from "../poly.ts";
import { fromFront, numbersOf, type Rule, type Site, sizeOfAxis, sizesOf, tensorOf, timesDim } from "../rule.ts";
import { convolved, endedAt, summed, weighted } from "../sequence.ts";
import { type Body, type Lines, lineAt, NO_GAIN, positionOf, type Sequence, type Spectrum } from "../value.ts";
import { binary } from "./elementwise.ts";
import { asRows } from "./positions.ts";

const EMPTY: Poly = { terms: [], sequences: new Map() };

/** https://onnx.ai/onnx/operators/onnx__DFT.html: the axis is an attribute in opset 17, an input from 20 on. */
export const DFT: Rule = ([input, length, axisInput], { axis = 1, onesided = 0, inverse = 0 }, site) => {
  const data = tensorOf(input);
  const over = site.opset >= 20 ? (axisInput ? numbersOf(axisInput)?.[0] : -2) : Number(axis);
  if (over === undefined) throw new Unproven("transforms along an axis that is not followed");
  const k = fromFront(over, data.axes.length);
  const given = length && sizesOf(length);
  if (length && given?.length !== 1) throw new Unproven("transforms at a length that is not followed");
  return inverse
    ? inverted(site, data, k, given?.[0], Boolean(onesided))
    : transformed(site, data, k, given?.[0], Boolean(onesided));
};

/** A line, or the axis of a constant that is transformed as if it were one. */
function lineBodies(
  { which }: Site,
  data: Lines,
  k: number,
): { size: ReturnType<typeof dim>; bodies: readonly Body[] } {
  const size = lineAt(data.axes, k);
  if (size) return { size, bodies: data.parts.map((part) => asRows(part, data.axes)) };
  const count = numberOf(sizeOfAxis(data.axes[k]!));
  const [body] = data.parts;
  if (count === undefined || body?.kind !== "fixed" || data.pair !== undefined || which.from < 1)
    throw new Unproven("transforms along what is not the time axis alone");
  return { size: dim(count), bodies: [{ ...positionOf(body.key, dim(count)), to: undefined, reach: count }] };
}

function transformed(
  site: Site,
  data: Lines,
  k: number,
  given: ReturnType<typeof dim> | undefined,
  onesided: boolean,
): Lines {
  const { which } = site;
  const { size, bodies } = lineBodies(site, data, k);
  const points = given ?? size;
  const last = data.axes.length - 1;
  if (data.pair !== undefined ? data.pair !== last : data.axes[last]!.length > 0)
    throw new Unproven("transforms numbers that are not followed");
  const parts = bodies.map((body): Sequence | undefined => {
    if (body.kind === "fixed" && body.zero) return undefined;
    if (body.kind !== "sequence" || body.gain.size > 0) throw new Unproven("transforms what is not followed");
    // what is left out or filled up with zeros at the end
    return cutTo(site, body, size, points);
  });
  const [re, im] = parts;
  const of = (sequence: Sequence | undefined, part: "re" | "im") => (sequence ? atom(part, sequence) : EMPTY);
  const spectrum = (poly: Poly): Spectrum => ({ kind: "spectrum", points, onesided, poly, gain: NO_GAIN });
  const bins = onesided ? add(floor(which, timesDim(points, dim(1 / 2))!), dim(1)) : points;
  return {
    kind: "tensor",
    axes: data.axes.with(k, [{ line: bins }]).with(last, [2]),
    parts: [spectrum(plus(of(re, "re"), of(im, "im"), -1)), spectrum(plus(of(re, "im"), of(im, "re")))],
    pair: last,
  };
}

function cutTo(
  { which }: Site,
  sequence: Sequence,
  size: ReturnType<typeof dim>,
  points: ReturnType<typeof dim>,
): Sequence {
  if (atLeast(which, points, size)) return endedAt(which, sequence, size);
  const ended = endedAt(which, sequence, points);
  const support = [
    sequence.support[0],
    atLeast(which, points, sequence.support[1]) ? sequence.support[1] : points,
  ] as const;
  return { ...ended, support };
}

function inverted(
  site: Site,
  data: Lines,
  k: number,
  given: ReturnType<typeof dim> | undefined,
  onesided: boolean,
): Lines {
  const { which } = site;
  const last = data.axes.length - 1;
  const [re, im] = data.parts;
  if (data.pair !== last || re?.kind !== "spectrum" || im?.kind !== "spectrum")
    throw new Unproven("transforms back what is no transform of sequences");
  const size = sizeOfAxis(data.axes[k]!);
  const points = given ?? (onesided ? timesDim(subtract(size, dim(1)), dim(2))! : size);
  if (!isSame(which, points, re.points) || re.onesided !== onesided)
    throw new Unproven("transforms back over another number of points");
  const gain = re.gain;
  const products = productsOf(re.poly, im.poly);
  if (onesided && products.some((product) => Math.abs(product.im) > 1e-9))
    throw new Unproven("turns the phase of a transform");
  const sum = (part: "re" | "im"): Body => {
    const terms = products
      .filter((product) => Math.abs(product[part]) > 1e-9)
      .map((product) => {
        const sequence = convolved(which, product.sequences, points);
        const factors = [...product.factors, ...(product[part] === 1 ? [] : [String(product[part])])];
        const whole = factors.reduce((s, factor) => weighted(s, factor), sequence);
        return { ...whole, gain };
      });
    const [first, ...others] = terms;
    if (!first) return { kind: "fixed", key: "0", zero: true, tensor: undefined };
    return others.reduce((a, b) => summed(which, a, b, 1), first);
  };
  const axes = data.axes.with(k, [{ line: points }]);
  if (onesided) return { kind: "tensor", axes: axes.with(last, []), parts: [sum("re")], pair: undefined };
  return { kind: "tensor", axes, parts: [sum("re"), sum("im")], pair: last };
}

/** com.microsoft ComplexMul: pairs in the last axis. */
export const complexMul =
  (conjugate: boolean): Rule =>
  ([left, right], _attributes, site) => {
    const [a, b] = [tensorOf(left), tensorOf(right)];
    if (a.pair === undefined || b.pair === undefined || conjugate) throw new Unproven("multiplies by a conjugate");
    const part = (value: Lines, i: number): Lines => ({
      ...value,
      axes: value.axes.with(value.pair!, []),
      parts: [value.parts[i]!],
      pair: undefined,
    });
    const product = (i: number, j: number) => binary(site, part(a, i), part(b, j), multiply);
    const [rr, ii, ri, ir] = [product(0, 0), product(1, 1), product(0, 1), product(1, 0)];
    const combine = (x: Lines, y: Lines, by: 1 | -1): Body => {
      const [p, q] = [x.parts[0]!, y.parts[0]!];
      if (p.kind !== "spectrum" || q.kind !== "spectrum")
        throw new Unproven("multiplies complex numbers that are no transforms");
      return { ...p, poly: plus(p.poly, q.poly, by) };
    };
    const last = rr.axes.length - 1;
    return {
      kind: "tensor",
      axes: rr.axes.with(last, [2]),
      parts: [combine(rr, ii, -1), combine(ri, ir, 1)],
      pair: last,
    };
  };

function multiply(_site: Site, a: Body, b: Body): Body {
  if (a.kind !== "spectrum" || b.kind !== "spectrum")
    throw new Unproven("multiplies complex numbers that are no transforms");
  return { ...a, poly: timesPoly(a.poly, b.poly) };
}
