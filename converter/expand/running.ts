/**
 * A triangle of equal numbers times a stream is its running sum, and one whose rows are divided by how many they hold its running mean:
 *
 *     y[t] = Σ_{s ≤ t} x[s]        written as tril(1) @ x, or x @ triu(1)
 *
 * Both are right at any length, where the matrix itself would be a kernel that does not die away, or rows that grow.
 */
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import type { Expansion, Site } from "./expansion.ts";
import { placesOf } from "./places.ts";
import { type Banded, bandedOf, LOWER, saidOf, UPPER } from "./triangle.ts";

/** What stands beside the triangle: a number for all, and what divides or multiplies each row. */
interface Weights {
  readonly scale: number;
  /** `Mean`: by the number of positions up to each. */
  readonly rows?: { readonly op: "Div" | "Mul"; readonly by: string } | "mean";
}

const FLOATS = new Set<number>([DataType.FLOAT]);
/** What a softmax makes nothing of in float32, beside zeros. */
const HIDDEN = -1e4;

export const MatMul: Expansion = (b, { inputs, outputs }, site) => {
  const [left, right] = inputs as [string, string];
  const [output] = outputs as [string];
  const lower = weightsOf(site, left, false);
  if (lower) return running(b, { x: right, axis: -2, output }, lower);
  const upper = weightsOf(site, right, true);
  return upper ? running(b, { x: left, axis: -1, output }, upper) : false;
};

function running(
  b: Builder,
  { x, axis, output }: { readonly x: string; readonly axis: -1 | -2; readonly output: string },
  { scale, rows }: Weights,
): boolean {
  const last = scale === 1 && !rows;
  const sum = b.one("CumSum", [x, b.ints("along", axis)], {}, last ? { outputs: [output] } : {});
  if (last) return true;
  const scaled =
    scale === 1 ? sum : b.one("Mul", [sum, b.floats("scale", [], [scale])], {}, rows ? {} : { outputs: [output] });
  if (rows) {
    const [op, by] = rows === "mean" ? ["Div", countsOf(b, x, axis)] : [rows.op, rows.by];
    b.one(op!, [scaled, by!], {}, { outputs: [output] });
  }
  return true;
}

/** 1, 2, …, n: [n, 1] where positions are the last axis but one, else [n]. */
function countsOf(b: Builder, x: string, axis: -1 | -2): string {
  const counts = b.one("Cast", [placesOf(b, x, axis, 1)], { to: DataType.FLOAT }, { hint: "counts" });
  return axis === -1 ? counts : b.one("Unsqueeze", [counts, b.ints("axes", [1])]);
}

/** @param upper whether it stands behind the stream, so that its columns are what the rows of the other are */
function weightsOf(site: Site, name: string, upper: boolean): Weights | undefined {
  const triangle = (of: Banded | undefined) => {
    const said = saidOf(upper ? UPPER : LOWER, of);
    return said?.outside === 0 && FLOATS.has(said.type) ? said : undefined;
  };
  const whole = triangle(bandedOf(site, name));
  if (whole) return { scale: whole.inside };
  const node = site.producerOf(name);
  if (node?.domain !== "" || upper) return undefined;
  const [x, by] = node.inputs as [string, string];
  if (node.op === "Softmax") {
    const mask = bandedOf(site, x);
    const isLast = [-1, 1].includes(Number(node.attributes.axis ?? -1));
    return hides(mask) && isLast && FLOATS.has(mask.type) ? { scale: 1, rows: "mean" } : undefined;
  }
  const of = node.op === "Div" || node.op === "Mul" ? triangle(bandedOf(site, x)) : undefined;
  if (!of) return undefined;
  if (node.op === "Div" && isSum(site, by, of)) return { scale: 1, rows: "mean" };
  return isColumn(site, by) ? { scale: of.inside, rows: { op: node.op as "Div" | "Mul", by } } : undefined;
}

/** A mask that hides all later positions and no other: zeros, and numbers of which a softmax makes nothing. */
const hides = (of: Banded | undefined): of is Banded => {
  const said = saidOf(LOWER, of);
  return said?.inside === 0 && said.outside <= HIDDEN;
};

/** Whether it is each row's sum of the same triangle: how many positions there are up to each, times its number. */
function isSum(site: Site, name: string, of: Banded): boolean {
  const node = site.producerOf(name);
  if (node?.domain !== "" || node.op !== "ReduceSum" || Number(node.attributes.keepdims ?? 1) === 0) return false;
  const axes = node.inputs[1] ? site.numbersOf(node.inputs[1]) : (node.attributes.axes as number[] | undefined);
  const summed = saidOf(of.band, bandedOf(site, node.inputs[0]!));
  return (
    summed?.outside === 0 && summed.inside === of.inside && axes?.length === 1 && (axes[0] === -1 || axes[0] === 1)
  );
}

const BETWEEN = new Set(["Add", "Sub", "Mul", "Div", "Cast", "Identity", "Reciprocal"]);

/** Whether a tensor's last axis has size 1, so that it scales rows. */
function isColumn(site: Site, name: string): boolean {
  const sizes = site.sizesOf(name);
  if (sizes) return sizes.length > 0 && sizes.at(-1) === 1;
  const { op = "", domain, inputs = [] } = site.producerOf(name) ?? {};
  if (domain !== "") return false;
  if (op === "Unsqueeze") {
    const axes = site.numbersOf(inputs[1] ?? "");
    const isRange = site.producerOf(inputs[0]!)?.op === "Range";
    return axes?.length === 1 && (axes[0] === -1 || (axes[0] === 1 && (isRange || isList(site, inputs[0]!))));
  }
  const columns = inputs.filter((each) => site.numberOf(each) === undefined);
  return BETWEEN.has(op) && columns.length > 0 && columns.every((each) => isColumn(site, each));
}

/** Whether a tensor is made of a range and numbers alone: of one axis. */
function isList(site: Site, name: string): boolean {
  const { op = "", domain, inputs = [] } = site.producerOf(name) ?? {};
  if (domain !== "") return false;
  const lists = inputs.filter((each) => site.numberOf(each) === undefined);
  return op === "Range" || (BETWEEN.has(op) && lists.length > 0 && lists.every((each) => isList(site, each)));
}
