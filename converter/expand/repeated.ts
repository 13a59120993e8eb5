/**
 * What is repeated to meet its own transpose, as xLSTM writes a sum of log gates up to each position less that up to each other one:
 * `m = s.repeat(1, 1, 1, n); (m - m.transpose(-2, -1))[:, :, 1:, 1:]`. Operators that broadcast meet it as it is, and what is cut behind them
 * is cut in front.
 * https://onnx.ai/onnx/repo-docs/Broadcasting.html
 */
import { fromFront } from "../graph/axis.ts";
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import type { Expansion, Site } from "./expansion.ts";

type Sizes = readonly (number | string)[];

/** A tensor before it is repeated. */
interface Plain {
  readonly sizes: Sizes;
  /** Whether it is another tensor than the repeated one. */
  readonly isRepeated: boolean;
  readonly tensor: (b: Builder) => string;
}

/** Names of operators that broadcast two tensors. */
export const BROADCAST = ["Add", "Div", "Max", "Min", "Mul", "Sub"];

export const Broadcast: Expansion = (b, node, site) => {
  const met = crossed(site, node);
  if (!met?.operands.some(({ isRepeated }) => isRepeated)) return false;
  const inputs = met.operands.map(({ tensor }) => tensor(b));
  b.one(node.op, inputs, {}, { outputs: [node.outputs[0]!] });
  return true;
};

/** A cut of what two tensors are crossed to: one of them is cut. */
export const Slice: Expansion = (b, node, site) => {
  const cuts: Node[] = [];
  let made: Node | undefined = node;
  while (made?.op === "Slice" && made.domain === "") {
    cuts.unshift(made);
    made = site.producerOf(made.inputs[0]!);
  }
  const met = made && crossed(site, made);
  if (!made || !met) return false;
  const tensors = met.operands.map(({ tensor }) => tensor);
  for (const cut of cuts) {
    const axes = cut.inputs[3] ? site.numbersOf(cut.inputs[3]) : undefined;
    const axis = axes?.length === 1 ? fromFront(axes[0]!, met.sizes.length) : -1;
    const long = met.operands.flatMap(({ sizes }, k) => (sizes[axis] !== 1 ? [k] : []));
    if (axis < 0 || long.length !== 1) return false;
    const whole = tensors[long[0]!]!;
    tensors[long[0]!] = (to) => to.one("Slice", [whole(to), ...cut.inputs.slice(1)]);
  }
  const inputs = tensors.map((tensor) => tensor(b));
  b.one(made.op, inputs, {}, { outputs: [node.outputs[0]!] });
  return true;
};

/** Two tensors that are crossed: each has one entry along an axis of which the other has a number that is not fixed. */
function crossed(site: Site, node: Node): { readonly sizes: Sizes; readonly operands: readonly Plain[] } | undefined {
  if (node.domain !== "" || !BROADCAST.includes(node.op) || node.inputs.length !== 2) return undefined;
  const sizes = sizesOf(site, node.outputs[0]!);
  const [a, c] = node.inputs.map((name) => plainOf(site, name));
  if (!sizes || a?.sizes.length !== sizes.length || c?.sizes.length !== sizes.length) return undefined;
  // a repetition that makes something larger than both is none that broadcasting makes
  const isWhole = sizes.every((size, k) => {
    const own = [a.sizes[k]!, c.sizes[k]!];
    return own.includes(size) && own.every((each) => each === size || each === 1);
  });
  const isAcross = (one: Plain, other: Plain) =>
    one.sizes.some((size, k) => size === 1 && typeof other.sizes[k] === "string");
  return isWhole && isAcross(a, c) && isAcross(c, a) ? { sizes, operands: [a, c] } : undefined;
}

/** A tensor before Expand and Tile, also where it was transposed after them. */
function plainOf(site: Site, name: string): Plain | undefined {
  const sizes = sizesOf(site, name);
  if (!sizes) return undefined;
  const own: Plain = { sizes, isRepeated: false, tensor: () => name };
  const { op, domain, inputs = [], attributes } = site.producerOf(name) ?? {};
  // the way back ends at what is made otherwise
  const isMoved = domain === "" && (op === "Expand" || op === "Tile" || op === "Transpose");
  const before = isMoved ? plainOf(site, inputs[0]!) : undefined;
  if (!before) return own;
  if (op !== "Transpose") {
    const isRepeated =
      before.sizes.length === sizes.length && sizes.every((size, k) => [1, size].includes(before.sizes[k]!));
    return isRepeated ? { ...before, isRepeated } : own;
  }
  const perm = attributes?.perm as readonly number[] | undefined;
  if (!perm || !before.isRepeated) return own;
  const tensor = (b: Builder) => b.one("Transpose", [before.tensor(b)], { perm });
  return { sizes: perm.map((axis) => before.sizes[axis]!), isRepeated: true, tensor };
}

function sizesOf(site: Site, name: string): Sizes | undefined {
  const sizes = site.sizesOf(name);
  return sizes?.every((size) => size !== undefined && !Number.isNaN(size)) ? (sizes as Sizes) : undefined;
}
