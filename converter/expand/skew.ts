/**
 * Relative positions by the skew trick (Music Transformer; Transformer-XL's shift): products of queries with a table, whose column c stands
 * for the distance n - 1 - c, are padded by one column, shaped n + 1 × n, and their first row is cut off. At a query i and a key j up to it
 * that is the product with the row of distance i - j; behind it stand products of other queries, which a causal mask hides.
 *
 *     out[i, j] = Σ q[i] · table[i - j]
 *
 * The table is read from its end, so that a row stands for the same distance at every length. Conformers have columns for the distances
 * n - 1, …, -(n - 1): what is cut is shaped n × 2 n - 1, and its first n columns are the same relation. Their table is read from the middle.
 */
import { type Builder, createBuilder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import type { Expansion, Site } from "./expansion.ts";
import { placesOf } from "./places.ts";
import { reversed } from "./reversed.ts";

/** The product, of rows that are counted from the first distance, 0. */
export const MatMul: Expansion = (b, node, site) => {
  const [queries, table] = node.inputs as [string, string];
  const product = node.outputs[0]!;
  const isWide = isSkewedWide(site, product);
  if (!isWide && !isSkewed(site, product)) return false;
  const rows = reversed(b, site, table, 1, isWide);
  if (!rows) return false;
  b.one("MatMul", [queries, rows], {}, { outputs: [product] });
  return true;
};

/** What is left of the shifted product, picked by the distance. */
export const Slice: Expansion = (b, node, site) => {
  const wide = wideProductOf(site, node);
  const product = wide ?? (isCut(site, node) ? productOf(site, node) : undefined);
  const [queries, table] = product?.inputs ?? [];
  const isTaken = wide ? isSkewedWide : isSkewed;
  if (!product || !isTaken(site, product.outputs[0]!)) return false;
  if (!reversed(createBuilder(b.opset), site, table!, 1, wide !== undefined)) return false;
  const picked = b.one("Expand", [behind(b, queries!), squareOf(b, queries!)], {}, { hint: "behind" });
  b.one("GatherElements", [product.outputs[0]!, picked], { axis: -1 }, { outputs: [node.outputs[0]!] });
  return true;
};

/** What reads a tensor; its shape may be read beside. */
const readersOf = (site: Site, tensor: string): readonly Node[] =>
  site.consumersOf(tensor).filter(({ op }) => op !== "Shape");

/** What cuts the rows of a product that is padded and shaped, and nothing else is made of. */
function cutsOf(site: Site, product: string): readonly Node[] {
  const [padded, ...more] = readersOf(site, product);
  const shaped = padded && more.length === 0 ? readersOf(site, padded.outputs[0]!) : [];
  return shaped.flatMap(({ outputs }) => readersOf(site, outputs[0]!));
}

/** Whether a product is shifted, and nothing else is made of it. */
function isSkewed(site: Site, product: string): boolean {
  const cut = cutsOf(site, product);
  return cut.length > 0 && cut.every((each) => isCut(site, each) && productOf(site, each)?.outputs[0] === product);
}

/** Whether a product with columns for later keys as well is shifted, and nothing else is made of it. */
function isSkewedWide(site: Site, product: string): boolean {
  const shaped = cutsOf(site, product).flatMap(({ outputs }) => readersOf(site, outputs[0]!));
  const cut = shaped.flatMap(({ outputs }) => readersOf(site, outputs[0]!));
  return cut.length > 0 && cut.every((each) => wideProductOf(site, each)?.outputs[0] === product);
}

/** The product of n × 2 n - 1 whose first n columns a node cuts, once it is shifted. */
function wideProductOf(site: Site, { op, domain, inputs, outputs }: Node): Node | undefined {
  const [data, starts, , , steps] = inputs as [string, string, string, string?, string?];
  if (op !== "Slice" || domain !== "" || site.numberOf(starts) !== 0 || (steps && site.numberOf(steps) !== 1))
    return undefined;
  const again = site.producerOf(data);
  const cut = again?.op === "Reshape" ? site.producerOf(again.inputs[0]!) : undefined;
  const product = cut && isCut(site, cut) ? productOf(site, cut) : undefined;
  if (!product) return undefined;
  const [wide, shaped, whole, left] = [product.outputs[0]!, cut!.inputs[0]!, data, outputs[0]!].map(site.trialsOf);
  const isWide = wide!.every(({ dims }, trial) => {
    const n = dims?.at(-2) ?? Number.NaN;
    const has = (known: typeof wide, sizes: readonly number[]) =>
      known![trial]!.dims?.slice(-2).join() === sizes.join();
    return dims?.at(-1) === 2 * n - 1 && has(shaped, [2 * n, n]) && has(whole, [n, 2 * n - 1]) && has(left, [n, n]);
  });
  return isWide ? product : undefined;
}

/** Whether the first row is cut off. */
function isCut(site: Site, { op, domain, inputs }: Node): boolean {
  const [data, starts, ends, axes, steps] = inputs as [string, string, string, string?, string?];
  if (op !== "Slice" || domain !== "" || !axes || (steps && site.numberOf(steps) !== 1)) return false;
  const rank = site.dimsOf(data)?.length;
  const axis = site.numberOf(axes);
  const isRows = axis === -2 || (rank !== undefined && axis === rank - 2);
  return isRows && site.numberOf(starts) === 1 && Number(site.numberOf(ends)) >= 2 ** 31 - 1;
}

/** The product that is padded, and shaped to what a node cuts. */
function productOf(site: Site, { inputs }: Node): Node | undefined {
  const shaped = site.producerOf(inputs[0]!);
  const padded = shaped?.op === "Reshape" ? paddedBy(site, shaped.inputs[0]!) : undefined;
  const product = site.producerOf(padded ?? "");
  return product?.op === "MatMul" && product.domain === "" ? product : undefined;
}

/** What is padded by one column in front. */
function paddedBy(site: Site, tensor: string): string | undefined {
  const node = site.producerOf(tensor);
  if (node?.op === "Concat" && node.inputs.length === 2) {
    const [zeros, data] = node.inputs as [string, string];
    const [own, rank] = [site.dimsOf(zeros), site.dimsOf(zeros)?.length];
    const axis = Number(node.attributes.axis);
    return own?.at(-1) === 1 && (axis === -1 || axis === rank! - 1) ? data : undefined;
  }
  if (node?.op !== "Pad" || node.inputs[3] || String(node.attributes.mode ?? "constant") !== "constant")
    return undefined;
  const pads = site.numbersOf(node.inputs[1]!);
  const rank = (pads?.length ?? 0) / 2;
  return pads?.every((by, k) => by === (k === rank - 1 ? 1 : 0)) ? node.inputs[0] : undefined;
}

/** [time, time]: how far a key lies before the query; 0 behind it. */
function behind(b: Builder, queries: string): string {
  const places = placesOf(b, queries, -2);
  const apart = b.one("Sub", [b.one("Unsqueeze", [places, b.ints("axis", [1])]), places], {}, { hint: "behind" });
  return b.one("Max", [apart, b.ints("none", 0)], {}, { hint: "behind" });
}

/** The shape [..., time, time] of [..., time, width]. */
function squareOf(b: Builder, queries: string): string {
  const front = b.one("Shape", [queries], { end: -1 }, { hint: "sizes" });
  return b.one("Concat", [front, b.one("Shape", [queries], { start: -2, end: -1 })], { axis: 0 }, { hint: "square" });
}
