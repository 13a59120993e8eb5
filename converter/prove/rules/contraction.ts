/** Products with matrices: sums over axes that operands share. */
import { add, type Dim, dim } from "../../time/facts/dim.ts";
import { atLeast, type Case, least, Unproven } from "../values/cases.ts";
import { earlier, endedAt, sliced } from "../values/cutting.ts";
import { overChannels } from "../values/poly.ts";
import { fixed, numbersText, type Rule, type Site, tensorOf } from "../values/rule.ts";
import { convolved } from "../values/sequence.ts";
import {
  type Axes,
  type Body,
  type Factor,
  isLine,
  type Lines,
  lineAt,
  linesOf,
  type Pairs,
  type Sequence,
  type Windows,
} from "../values/value.ts";
import { meetAxes } from "./broadcast.ts";
import { product } from "./products.ts";

const ZERO = dim(0);

/** Σ_j T(i - j) x_j, T 0 for i < j: a convolution, for as many positions as there are. */
function byPairs(which: Case, matrix: Pairs, stream: Sequence, size: Dim, rows: Dim): Sequence {
  const whole = stream.from === undefined && (stream.to === undefined || atLeast(which, stream.to, size));
  if (!whole || stream.biased || stream.reversed) throw new Unproven("multiplies by a matrix what was cut or padded");
  if (matrix.first === undefined || (matrix.from !== undefined && matrix.from > matrix.first))
    throw new Unproven("sums over later positions, or over differences of positions that are not known");
  // differences less than 0 reach behind the end, and before the beginning they make entries of their own
  const ahead = Math.max(0, -matrix.first);
  return {
    ...stream,
    key: `(${matrix.key}∗${earlier(stream.key, ahead)})`,
    kernels: new Set([...stream.kernels, matrix.key]),
    from: ahead > 0 ? ZERO : undefined,
    to: least(which, add(size, dim(-ahead)), rows),
    support: [ZERO, rows],
    first: stream.first + matrix.first,
    reach: matrix.reach === undefined || stream.reach === undefined ? undefined : stream.reach + matrix.reach - 1,
  };
}

/** Σ_j s(i + j + offset) k_j with reversed rows k_j = κ(m - 1 - j): what a Conv with this filter makes of s. */
function byWindows(
  which: Case,
  terms: readonly Term[],
  windows: number,
  label: string,
  output: readonly string[],
): Sequence {
  const { value, labels } = terms[windows]!;
  const { of, size, offset, row, column } = value.parts[0] as Windows;
  const rest = terms.filter((_, i) => i !== windows).map((term) => ({ ...term, body: term.value.parts[0]! }));
  const [filter, ...others] = rest.filter(({ body }) => body.kind !== "fixed");
  const taps = filter && lineAt(filter.value.axes, filter.labels.indexOf(label));
  const rows = lineAt(value.axes, row);
  const isFilter = filter?.body.kind === "sequence" && !filter.body.stream && filter.body.reversed;
  if (!isFilter || !taps || !rows || others.length > 0 || labels[column] !== label || !output.includes(labels[row]!))
    throw new Unproven("sums over the time axis");
  if (rest.some((term) => term !== filter && term.labels.includes(label)))
    throw new Unproven("sums over time what is not followed");
  const kernel = endedAt(which, { ...(filter.body as Sequence), reversed: false }, taps);
  const start = add(offset, add(taps, dim(-1)));
  const sum = sliced(which, convolved(which, [of, kernel], undefined), start, add(start, rows), add(size, taps));
  const keys = rest.flatMap(({ body }) => (body.kind === "fixed" ? [body.key] : []));
  return { ...sum, key: `(${[...keys, sum.key].join("*")})` };
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
    if (new Set(labels).size < labels.length) throw new Unproven("takes a diagonal");
    for (const [k, label] of labels.entries()) {
      const [known, own] = [axisOfLabel.get(label), value.axes[k]!];
      axisOfLabel.set(label, known ? meetAxes(which, known, own) : own);
    }
  }
  const summed = [...axisOfLabel.keys()].filter((label) => !output.includes(label));
  const axes: Axes = output.map((label) => axisOfLabel.get(label) ?? []);
  const alongTime = summed.filter((label) => axisOfLabel.get(label)!.some(isLine));
  if (summed.some((label) => axisOfLabel.get(label)!.includes("batch"))) throw new Unproven("sums over the batch");
  const bodies = terms.map(({ value }) => value.parts[0]!);
  const stream = bodies.findIndex((body) => body.kind === "sequence" && body.stream);
  if (alongTime.length === 0) return withoutTime(site, terms, axes, stream, summed, axisOfLabel);
  const [label] = alongTime;
  const windows = bodies.findIndex((body) => body.kind === "windows");
  if (windows >= 0 && alongTime.length === 1) {
    refuseChannels(summed, axisOfLabel, label!);
    return { kind: "tensor", axes, parts: [byWindows(which, terms, windows, label!, output)], pair: undefined };
  }
  const matrix = bodies.findIndex((body) => body.kind === "pairs");
  if (alongTime.length > 1 || stream < 0 || matrix < 0) throw new Unproven("sums over the time axis");
  refuseChannels(summed, axisOfLabel, label!);
  const pairs = bodies[matrix] as Pairs;
  const { labels } = terms[matrix]!;
  if (labels[pairs.column] !== label || !output.includes(labels[pairs.row]!))
    throw new Unproven("sums over the later of two positions");
  const size = lineAt(terms[stream]!.value.axes, terms[stream]!.labels.indexOf(label!));
  const rows = lineAt(terms[matrix]!.value.axes, pairs.row);
  if (!size || !rows || bodies.some((body, i) => i !== matrix && i !== stream && body.kind !== "fixed"))
    throw new Unproven("sums over time what is not followed");
  const others = bodies.filter((_, i) => i !== matrix && i !== stream).map((body) => ("key" in body ? body.key : ""));
  const sum = byPairs(which, pairs, bodies[stream] as Sequence, size, rows);
  return { kind: "tensor", axes, parts: [{ ...sum, key: `(${[...others, sum.key].join("*")})` }], pair: undefined };
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
  site: Site,
  terms: readonly Term[],
  axes: Axes,
  stream: number,
  summed: readonly string[],
  axisOfLabel: ReadonlyMap<string, readonly Factor[]>,
): Lines {
  const bodies = terms.map(({ value }) => value.parts[0]!);
  const sequence = bodies.findIndex((body) => body.kind === "sequence");
  const over = summed.map((label) => `${label}${numbersText(axisOfLabel.get(label)!)}`);
  const labels = terms.map((term) => term.labels.join("")).join();
  if (site.mixesChannels && bodies.some((body) => body.kind === "spectrum"))
    return ofSpectra(site, bodies, axes, `${over.join()}:${labels}`);
  const key = `Σ${over.join()}(${bodies.map((body) => ("key" in body ? body.key : "?")).join()};${labels})`;
  if (bodies.every((body) => body.kind === "fixed")) return fixed(axes, key);
  const only = bodies.filter((body) => body.kind !== "fixed").length === 1;
  if (sequence < 0 || !only) throw new Unproven("multiplies what is not followed by a matrix");
  if (stream >= 0 && !site.mixesChannels) refuseChannels(summed, axisOfLabel, "");
  const body = bodies[sequence] as Sequence;
  if (linesOf(axes).length !== 1) throw new Unproven("loses the time axis");
  return { kind: "tensor", axes, parts: [{ ...body, key }], pair: undefined };
}

/** Spectra multiplied with one another and with constants, and added up over channels. */
function ofSpectra(site: Site, bodies: readonly Body[], axes: Axes, sums: string): Lines {
  if (bodies.some((body) => body.kind !== "spectrum" && body.kind !== "fixed"))
    throw new Unproven("multiplies what is not followed by a matrix");
  const all = bodies.reduce((a, b) => product(site, a, b, axes));
  if (all.kind === "fixed") return fixed(axes, all.key, { zero: all.zero });
  if (all.kind !== "spectrum" || linesOf(axes).length !== 1)
    throw new Unproven("multiplies what is not followed by a matrix");
  return { kind: "tensor", axes, parts: [{ ...all, poly: overChannels(all.poly, sums) }], pair: undefined };
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
