/** Operators that add up along an axis: products with matrices, convolutions, running sums. */
import { add, dim, subtract } from "../../time/dim.ts";
import { atLeast, type Case, most, Unproven } from "../cases.ts";
import { fixed, fromFront, numbersOf, type Rule, type Site, sameAxis, sizeOfAxis, tensorOf } from "../rule.ts";
import { convolved, endedAt, kernelOfFilter, padded, sliced } from "../sequence.ts";
import { type Axes, type Body, type Factor, type Lines, lineAt, linesOf, type Pairs, type Sequence } from "../value.ts";
import { asRows } from "./positions.ts";

const ZERO = dim(0);

/** Σ_j T(i - j) x_j, T 0 for i < j: a convolution, for as many positions as there are. */
function byPairs(which: Case, matrix: Pairs, stream: Sequence, size: ReturnType<typeof dim>): Sequence {
  const whole = stream.from === undefined && (stream.to === undefined || atLeast(which, stream.to, size));
  if (!whole || stream.biased || stream.reversed) throw new Unproven("multiplies by a matrix what was cut or padded");
  if (matrix.first === undefined || (matrix.from !== undefined && matrix.from > matrix.first))
    throw new Unproven("sums over later positions, or over differences of positions that are not known");
  const last = matrix.reach === undefined ? undefined : matrix.reach;
  return {
    ...stream,
    key: `${matrix.key}∗${stream.key}`,
    to: size,
    support: [ZERO, size],
    first: stream.first + matrix.first,
    reach: last === undefined || stream.reach === undefined ? undefined : stream.reach + last - 1,
  };
}

interface Term {
  readonly value: Lines;
  readonly labels: readonly string[];
}

/** A sum of products over the labels that are not in `output`. */
function contract(site: Site, terms: readonly Term[], output: readonly string[]): Lines {
  const { which } = site;
  const axisOfLabel = new Map<string, readonly Factor[]>();
  for (const { value, labels } of terms) {
    if (value.pair !== undefined) throw new Unproven("multiplies real and imaginary parts by a matrix");
    for (const [k, label] of labels.entries()) {
      const [known, own] = [axisOfLabel.get(label), value.axes[k]!];
      if (known && known.length > 0 && own.length > 0 && !sameAxis(which, known, own))
        throw new Unproven("sums over axes that differ");
      if (!known || known.length === 0) axisOfLabel.set(label, own);
    }
  }
  const summed = [...axisOfLabel.keys()].filter((label) => !output.includes(label));
  const axes: Axes = output.map((label) => axisOfLabel.get(label) ?? []);
  const alongTime = summed.filter((label) => axisOfLabel.get(label)!.some((factor) => typeof factor === "object"));
  if (summed.some((label) => axisOfLabel.get(label)!.includes("batch"))) throw new Unproven("sums over the batch");
  const bodies = terms.map(({ value }) => value.parts[0]!);
  const stream = bodies.findIndex((body) => body.kind === "sequence" && body.stream);
  if (alongTime.length === 0) return withoutTime(terms, bodies, axes, stream, summed, axisOfLabel);
  const [label] = alongTime;
  const matrix = bodies.findIndex((body) => body.kind === "pairs");
  if (alongTime.length > 1 || stream < 0 || matrix < 0) throw new Unproven("sums over the time axis");
  refuseChannels(summed, axisOfLabel, label!);
  const pairs = bodies[matrix] as Pairs;
  const { labels } = terms[matrix]!;
  if (labels[pairs.column] !== label || !output.includes(labels[pairs.row]!))
    throw new Unproven("sums over the later of two positions");
  const size = lineAt(terms[stream]!.value.axes, terms[stream]!.labels.indexOf(label!));
  if (!size || bodies.some((body, i) => i !== matrix && i !== stream && body.kind !== "fixed"))
    throw new Unproven("sums over time what is not followed");
  const others = bodies.filter((_, i) => i !== matrix && i !== stream).map((body) => ("key" in body ? body.key : ""));
  const sum = byPairs(which, pairs, bodies[stream] as Sequence, size);
  return { kind: "tensor", axes, parts: [{ ...sum, key: [...others, sum.key].join("*") }], pair: undefined };
}

/** Summing over channels of what is mixed lets them influence one another, which is probed only so far. */
function refuseChannels(
  summed: readonly string[],
  axisOfLabel: ReadonlyMap<string, readonly Factor[]>,
  but: string,
): void {
  if (summed.some((label) => label !== but && axisOfLabel.get(label)!.length > 0))
    throw new Unproven("sums over channels of what it mixes");
}

function withoutTime(
  terms: readonly Term[],
  bodies: readonly Body[],
  axes: Axes,
  stream: number,
  summed: readonly string[],
  axisOfLabel: ReadonlyMap<string, readonly Factor[]>,
): Lines {
  const sequence = bodies.findIndex((body) => body.kind === "sequence");
  const key = `Σ${summed.join("")}(${bodies.map((body) => ("key" in body ? body.key : "?")).join()};${terms.map(({ labels }) => labels.join("")).join()})`;
  if (bodies.every((body) => body.kind === "fixed")) return fixed(axes, key);
  const only = bodies.filter((body) => body.kind !== "fixed").length === 1;
  if (sequence < 0 || !only) throw new Unproven("multiplies what is not followed by a matrix");
  if (stream >= 0) refuseChannels(summed, axisOfLabel, "");
  const body = bodies[sequence] as Sequence;
  if (linesOf(axes).length !== 1) throw new Unproven("loses the time axis");
  return { kind: "tensor", axes, parts: [{ ...body, key }], pair: undefined };
}

/** https://onnx.ai/onnx/operators/onnx__MatMul.html */
export const MatMul: Rule = ([left, right], _attributes, site) => {
  const [a, b] = [tensorOf(left), tensorOf(right)];
  const [ra, rb] = [a.axes.length, b.axes.length];
  const batch = Math.max(ra - 2, rb - 2, 0);
  const names = Array.from({ length: batch }, (_, i) => String.fromCharCode(65 + i));
  const labels = (rank: number, row: string, column: string) =>
    rank === 1 ? ["k"] : [...names.slice(batch - (rank - 2)), row, column];
  const output = [...names, ...(ra === 1 ? [] : ["i"]), ...(rb === 1 ? [] : ["j"])];
  return contract(
    site,
    [
      { value: a, labels: labels(ra, "i", "k") },
      { value: b, labels: labels(rb, "k", "j") },
    ],
    output,
  );
};

/** https://onnx.ai/onnx/operators/onnx__Einsum.html, without an ellipsis. */
export const Einsum: Rule = (inputs, { equation }, site) => {
  const [left = "", right] = String(equation).replaceAll(" ", "").split("->");
  if (left.includes(".") || right === undefined)
    throw new Unproven("is an Einsum with an ellipsis or without its output");
  const terms = left.split(",").map((term, i) => ({ value: tensorOf(inputs[i]), labels: [...term] }));
  return contract(site, terms, [...right]);
};

/** https://onnx.ai/onnx/operators/onnx__Conv.html along one axis, each channel by itself. */
export const Conv: Rule = ([input, weight, bias], attributes, { which }) => {
  const [data, filter] = [tensorOf(input), tensorOf(weight)];
  const size = lineAt(data.axes, 2);
  if (data.axes.length !== 3 || !size || data.pair !== undefined)
    throw new Unproven("convolves along more than the time axis");
  const { group = 1, pads = [0, 0], strides = [1], dilations = [1], auto_pad = "NOTSET" } = attributes;
  const [stride] = strides as readonly number[];
  const [dilation] = dilations as readonly number[];
  if (auto_pad !== "NOTSET" || stride !== 1) throw new Unproven("convolves with strides or computed padding");
  if (filter.axes[1]!.length > 0) throw new Unproven("convolves across channels");
  const [stream] = data.parts;
  if (stream?.kind !== "sequence") throw new Unproven("convolves what is not followed");
  const [before, after] = (pads as readonly number[]).map(dim) as [ReturnType<typeof dim>, ReturnType<typeof dim>];
  const { kernel, taps } = filterKernel(which, filter, dilation!);
  const ended = endedAt(which, stream, size);
  const wide = add(add(size, before), after);
  const full = convolved(which, [padded(ended, before), kernel], undefined);
  const start = subtract(taps, dim(1));
  const result = sliced(which, full, start, wide, add(wide, start));
  const channels = filter.axes[0]!;
  const last = subtract(wide, start);
  const body = bias ? { ...result, biased: true, key: `${result.key}+bias` } : result;
  const axes = [data.axes[0]!, channels, [{ line: last }]];
  return { kind: "tensor", axes, parts: [{ ...body, key: `${body.key}/${group}` }], pair: undefined };
};

/** The filter as a kernel, and its length: a constant, or reversed rows of a function of the position. */
function filterKernel(
  which: Case,
  filter: Lines,
  dilation: number,
): { kernel: Sequence; taps: ReturnType<typeof dim> } {
  const [body] = filter.parts;
  const size = sizeOfAxis(filter.axes[2]!);
  if (body?.kind === "fixed") {
    const taps = size.constant;
    if (size.time !== 0 || size.batch !== 0) throw new Unproven("convolves with a filter that is not followed");
    return { kernel: kernelOfFilter(`${body.key}~${dilation}`, taps, dilation), taps: dim(dilation * (taps - 1) + 1) };
  }
  if (body?.kind !== "sequence" || body.stream || dilation !== 1)
    throw new Unproven("convolves with a filter that is not followed");
  // entry p is κ(size - 1 - p + shift)
  if (!body.reversed) throw new Unproven("convolves with positions in their order: it looks ahead");
  return { kernel: endedAt(which, { ...body, reversed: false }, size), taps: size };
}

/** https://onnx.ai/onnx/operators/onnx__CumSum.html: a convolution with ones. */
export const CumSum: Rule = ([input, axisInput], { exclusive = 0, reverse = 0 }, { which }) => {
  const data = tensorOf(input);
  const over = numbersOf(axisInput)?.[0];
  if (over === undefined || reverse) throw new Unproven("adds up from the end");
  const k = fromFront(over, data.axes.length);
  const size = lineAt(data.axes, k);
  const body = asRows(data.parts[0]!, data.axes);
  if (!size || body.kind !== "sequence" || data.pair !== undefined || body.reversed || body.biased)
    throw new Unproven("adds up along an axis that is not the time alone");
  if (body.from !== undefined) throw new Unproven("adds up what was cut off in front");
  const to = body.to && !atLeast(which, body.to, size) ? body.to : size;
  const later = exclusive ? 1 : 0;
  const sum: Sequence = {
    ...body,
    key: `Σ${later}${body.key}`,
    to,
    support: [body.support[0], most(which, size, body.support[0])],
    first: body.first + later,
    reach: undefined,
  };
  return { ...data, parts: [sum] };
};

/** https://onnx.ai/onnx/operators/onnx__Trilu.html: of the last two axes. */
export const Trilu: Rule = ([input, diagonal], { upper = 1 }) => {
  const data = tensorOf(input);
  const [k = 0] = diagonal ? (numbersOf(diagonal) ?? []) : [0];
  const [row, column] = [data.axes.length - 2, data.axes.length - 1];
  const [body] = data.parts;
  if (diagonal && !numbersOf(diagonal)) throw new Unproven("keeps a triangle that is not followed");
  if (upper) throw new Unproven("keeps later positions");
  const pairs: Pairs | undefined =
    body?.kind === "pairs"
      ? body
      : body?.kind === "fixed"
        ? { kind: "pairs", key: body.key, row, column, from: undefined, first: undefined, reach: undefined }
        : undefined;
  if (!pairs || pairs.row !== row || pairs.column !== column)
    throw new Unproven("keeps a triangle of what is not followed");
  const known = pairs.from !== undefined && pairs.from > -k ? pairs.from : undefined;
  return {
    ...data,
    parts: [{ ...pairs, key: `${pairs.key}[d≥${-k}]`, from: known, first: Math.max(pairs.first ?? -k, -k) }],
  };
};

/** https://onnx.ai/onnx/operators/onnx__ReduceSum.html over channels of functions of the position, or real and imaginary part. */
export const ReduceSum: Rule = ([input, over], { axes: attribute, keepdims = 1 }) => {
  const data = tensorOf(input);
  const given = over ? numbersOf(over) : (attribute as readonly number[] | undefined);
  const places = given?.map((axis) => fromFront(axis, data.axes.length));
  const [body] = data.parts;
  if (!places || data.pair !== undefined || !body) throw new Unproven("adds up axes that are not followed");
  if (places.some((k) => data.axes[k]!.some((factor) => typeof factor === "object")))
    throw new Unproven("sums over the time axis");
  if (places.some((k) => data.axes[k]!.includes("batch"))) throw new Unproven("sums over the batch");
  if (body.kind === "sequence" && body.stream) throw new Unproven("sums over channels of what it mixes");
  if (body.kind !== "sequence" && body.kind !== "fixed" && body.kind !== "pairs")
    throw new Unproven("adds up what is not followed");
  const kept = data.axes.flatMap((axis, k) => (places.includes(k) ? (keepdims ? [[]] : []) : [axis]));
  const key = `ΣR${places.join()}${body.key}`;
  if (body.kind !== "pairs")
    return {
      kind: "tensor",
      axes: kept,
      parts: [{ ...body, key, ...(body.kind === "fixed" && { tensor: undefined }) }],
      pair: undefined,
    };
  const to = (axis: number) => (keepdims ? axis : axis - places.filter((k) => k < axis).length);
  return {
    kind: "tensor",
    axes: kept,
    parts: [{ ...body, key, row: to(body.row), column: to(body.column) }],
    pair: undefined,
  };
};
