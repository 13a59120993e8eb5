/** Fourier transforms along time. */

import { fromFront } from "../../graph/axis.ts";
import { add, type Dim, dim, multiply, subtract } from "../../time/facts/dim.ts";
import { floor, isSame, numberOf, Unproven } from "../values/cases.ts";
import { cutTo } from "../values/cutting.ts";
import { atom, plus, productsOf } from "../values/poly.ts";
import { numbersOf, type Rule, type Site, sizeOfAxis, sizesOf, tensorOf } from "../values/rule.ts";
import { convolved, summed, weighted } from "../values/sequence.ts";
import type { Poly } from "../values/value.ts";
import {
  type Body,
  type Lines,
  lineAt,
  linesOf,
  NO_GAIN,
  positionOf,
  type Sequence,
  type Spectrum,
} from "../values/value.ts";
import { binary } from "./broadcast.ts";
import { asRows } from "./positions.ts";
import { product } from "./products.ts";
import { sum } from "./sums.ts";

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
function lineBodies(data: Lines, k: number): { size: Dim; bodies: readonly Body[] } {
  const size = lineAt(data.axes, k);
  if (size) return { size, bodies: data.parts.map((part) => asRows(part, data.axes)) };
  const count = numberOf(sizeOfAxis(data.axes[k]!));
  const [body] = data.parts;
  if (count === undefined || body?.kind !== "fixed" || data.pair !== undefined || linesOf(data.axes).length > 0)
    throw new Unproven("transforms along what is not the time axis alone");
  return {
    size: dim(count),
    bodies: [{ ...positionOf(`${body.key}×${count}`, dim(count)), to: undefined, reach: count }],
  };
}

function transformed(site: Site, data: Lines, k: number, given: Dim | undefined, onesided: boolean): Lines {
  const { which } = site;
  const { size, bodies } = lineBodies(data, k);
  const points = given ?? size;
  const last = data.axes.length - 1;
  if (data.pair !== undefined ? data.pair !== last : data.axes[last]!.length > 0)
    throw new Unproven("transforms numbers that are not followed");
  if (k >= last || (onesided && data.pair !== undefined))
    throw new Unproven("transforms numbers that are not followed");
  const parts = bodies.map((body): Sequence | undefined => {
    if (body.kind === "fixed" && body.zero) return undefined;
    if (body.kind !== "sequence" || body.gain.size > 0) throw new Unproven("transforms what is not followed");
    // what is left out or filled up with zeros at the end
    return cutTo(site.which, body, size, points);
  });
  const [re, im] = parts;
  const of = (sequence: Sequence | undefined, part: "re" | "im") => (sequence ? atom(part, sequence) : EMPTY);
  const spectrum = (poly: Poly): Spectrum => ({ kind: "spectrum", points, onesided, poly, gain: NO_GAIN });
  const bins = onesided ? add(floor(which, multiply(points, dim(1 / 2))!), dim(1)) : points;
  return {
    kind: "tensor",
    axes: data.axes.with(k, [{ line: bins }]).with(last, [2]),
    parts: [spectrum(plus(of(re, "re"), of(im, "im"), -1)), spectrum(plus(of(re, "im"), of(im, "re")))],
    pair: last,
  };
}

function inverted(site: Site, data: Lines, k: number, given: Dim | undefined, onesided: boolean): Lines {
  const { which } = site;
  const last = data.axes.length - 1;
  const [re, im] = data.parts;
  if (data.pair !== last || re?.kind !== "spectrum" || im?.kind !== "spectrum")
    throw new Unproven("transforms back what is no transform of sequences");
  const size = lineAt(data.axes, k);
  if (!size) throw new Unproven("transforms back along another axis");
  const points = given ?? (onesided ? multiply(subtract(size, dim(1)), dim(2))! : size);
  if (!isSame(which, points, re.points) || re.onesided !== onesided)
    throw new Unproven("transforms back over another number of points");
  const gain = re.gain;
  const products = productsOf(re.poly, im.poly);
  if (onesided && products.some((product) => product.im !== 0)) throw new Unproven("turns the phase of a transform");
  const sum = (part: "re" | "im"): Body => {
    const terms = products
      .filter((product) => product[part] !== 0)
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
export const ComplexMul: Rule = ([left, right], _attributes, site) => {
  const [a, b] = [tensorOf(left), tensorOf(right)];
  if (a.pair === undefined || b.pair === undefined) throw new Unproven("multiplies what is not followed");
  const part = (value: Lines, i: number): Lines => ({
    ...value,
    axes: value.axes.with(value.pair!, []),
    parts: [value.parts[i]!],
    pair: undefined,
  });
  const times = (i: number, j: number) => binary(site, part(a, i), part(b, j), product);
  const re = binary(site, times(0, 0), times(1, 1), sum(-1));
  const im = binary(site, times(0, 1), times(1, 0), sum(1));
  const last = re.axes.length - 1;
  return {
    kind: "tensor",
    axes: re.axes.with(last, [2]),
    parts: [re.parts[0]!, im.parts[0]!],
    pair: last,
  };
};
