/** Operators that add up along an axis, or keep a triangle of two. */
import { fromFront } from "../../graph/axis.ts";
import { atLeast, most, Unproven } from "../values/cases.ts";
import { overChannels } from "../values/poly.ts";
import { numbersOf, numbersText, type Rule, tensorOf } from "../values/rule.ts";
import { isLine, type Lines, lineAt, type Pairs, type Sequence } from "../values/value.ts";
import { asRows } from "./positions.ts";

/** https://onnx.ai/onnx/operators/onnx__CumSum.html: a convolution with ones. */
export const CumSum: Rule = ([input, axisInput], { exclusive = 0, reverse = 0 }, { which }) => {
  const data = tensorOf(input);
  const [over] = numbersOf(axisInput) ?? [];
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
    key: `Σ${later}(${body.key})`,
    kernels: body.stream ? new Set([...body.kernels, "Σ"]) : body.kernels,
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
      : body?.kind === "fixed" && lineAt(data.axes, row) && lineAt(data.axes, column)
        ? { kind: "pairs", key: body.key, row, column, from: undefined, first: undefined, reach: undefined }
        : undefined;
  if (!pairs || pairs.row !== row || pairs.column !== column)
    throw new Unproven("keeps a triangle of what is not followed");
  const known = pairs.from !== undefined && pairs.from > -k ? pairs.from : undefined;
  return {
    ...data,
    parts: [
      {
        ...pairs,
        key: `(${pairs.key}{d≥${-k}})`,
        from: known,
        first: Math.max(pairs.first ?? -k, -k),
        holdsFrom: undefined,
      },
    ],
  };
};

/** https://onnx.ai/onnx/operators/onnx__ReduceSum.html over channels of functions of the position, or real and imaginary part. */
export const ReduceSum: Rule = ([input, over], { axes: attribute, keepdims = 1 }, { mixesChannels }) => {
  const data = tensorOf(input);
  const given = over ? numbersOf(over) : (attribute as readonly number[] | undefined);
  const places = given?.map((axis) => fromFront(axis, data.axes.length));
  if (places?.length === 0) throw new Unproven("adds up all axes or none");
  const [body] = data.parts;
  if (!places || !body || (data.pair !== undefined && places.includes(data.pair)))
    throw new Unproven("adds up axes that are not followed");
  if (places.some((k) => data.axes[k]!.some(isLine))) throw new Unproven("sums over the time axis");
  if (places.some((k) => data.axes[k]!.includes("batch"))) throw new Unproven("sums over the batch");
  const kept = data.axes.flatMap((axis, k) => (places.includes(k) ? (keepdims ? [[]] : []) : [axis]));
  const to = (axis: number) => (keepdims ? axis : axis - places.filter((k) => k < axis).length);
  const sums = places.map((k) => `${k}${numbersText(data.axes[k]!)}`).join();
  if (mixesChannels && body.kind === "spectrum")
    return { ...overSpectra(data, sums), axes: kept, pair: data.pair === undefined ? undefined : to(data.pair) };
  if (data.pair !== undefined) throw new Unproven("adds up axes that are not followed");
  if (body.kind === "sequence" && body.stream && !mixesChannels)
    throw new Unproven("sums over channels of what it mixes");
  if (body.kind !== "sequence" && body.kind !== "fixed" && body.kind !== "pairs")
    throw new Unproven("adds up what is not followed");
  const key = `Σ${sums}(${body.key})`;
  if (body.kind !== "pairs")
    return {
      kind: "tensor",
      axes: kept,
      parts: [{ ...body, key, ...(body.kind === "fixed" && { tensor: undefined }) }],
      pair: undefined,
    };
  return {
    kind: "tensor",
    axes: kept,
    parts: [{ ...body, key, row: to(body.row), column: to(body.column), holdsFrom: undefined, isPlace: false }],
    pair: undefined,
  };
};

/** Spectra added up over channels. */
function overSpectra(data: Lines, sums: string): Lines {
  const parts = data.parts.map((part) => {
    if (part.kind === "fixed" && part.zero) return part;
    if (part.kind !== "spectrum") throw new Unproven("adds up what is not followed");
    return { ...part, poly: overChannels(part.poly, sums) };
  });
  return { ...data, parts };
}
