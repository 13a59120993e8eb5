/**
 * The first entry of an axis in front of the others, `cat([x[:, :1], x[:, :-1]], 1)` or `diff(x, prepend=x[:, :1])`: padding with the edge,
 * which rules of time follow.
 * https://onnx.ai/onnx/operators/onnx__Concat.html
 */
import { fromFront } from "../graph/axis.ts";
import type { Node } from "../graph/graph.ts";
import { type Tensor, toNumbers } from "../graph/tensor.ts";
import type { Expansion, Site } from "./expansion.ts";

/** An entry, or a range of them, of an axis of a tensor. */
interface Cut {
  readonly of: string;
  readonly axis: number;
  readonly from: number;
  readonly to: number;
}

export const Concat: Expansion = (b, node, site) => {
  const [head, rest] = node.inputs as [string, string | undefined];
  if (!rest || node.inputs.length > 2) return false;
  const cut = site.producerOf(rest);
  const alike = [head, rest, ...(cut?.op === "Slice" ? [cut.inputs[0]!] : [])];
  const rank = alike.map((name) => site.sizesOf(name)?.length).find((known) => known !== undefined);
  if (rank === undefined) return false;
  const own = fromFront(Number(node.attributes.axis), rank);
  const { cut: first, count } = repeatedCut(site, head, own, rank);
  if (!first || first.axis !== own || first.from !== 0 || first.to !== 1 || count === undefined) return false;
  const all = rest === first.of ? undefined : cutOf(site, cut, rank);
  if (rest !== first.of && !(all && all.of === first.of && all.axis === own && all.from === 0 && all.to < 0))
    return false;
  const front = Array.from({ length: 2 * rank }, (_, k) => (k === own ? count : 0));
  const pads = ["Pad", [first.of, b.ints("front", front)], { mode: "edge" }] as const;
  if (!all) b.one(...pads, { outputs: [node.outputs[0]!] });
  else {
    const bounds = [b.ints("from", [0]), b.ints("to", [all.to]), b.ints("axis", [own])];
    b.one("Slice", [b.one(...pads, { hint: "edge" }), ...bounds], {}, { outputs: [node.outputs[0]!] });
  }
  return true;
};

/** A cut that is repeated along its axis, and how often; one that is not, once. */
function repeatedCut(site: Site, name: string, axis: number, rank: number): { cut?: Cut | undefined; count?: number } {
  const node = site.producerOf(name);
  if (node?.domain !== "" || (node.op !== "Expand" && node.op !== "Tile"))
    return { cut: cutOf(site, node, rank), count: 1 };
  const cut = cutOf(site, plainOf(site, node.inputs[0]!), rank);
  const [before, after] = [node.inputs[0]!, name].map((tensor) => site.sizesOf(tensor));
  const count = after?.[axis];
  // the other axes must be what they were
  const isSame = before?.every((size, k) => k === axis || (size !== undefined && size === after?.[k]));
  return typeof count === "number" && before?.length === rank && isSame ? { cut, count } : {};
}

/** What makes a tensor, before an Expand that leaves its sizes as they are: exporters write one before each Tile. */
function plainOf(site: Site, name: string): Node | undefined {
  const node = site.producerOf(name);
  if (node?.op !== "Expand" || node.domain !== "") return node;
  const [before, after] = [node.inputs[0]!, name].map((tensor) => site.sizesOf(tensor));
  const isSame =
    before?.length === after?.length && before?.every((size, k) => size !== undefined && size === after![k]);
  return isSame ? plainOf(site, node.inputs[0]!) : node;
}

/** What a node cuts from its data, along one axis in steps of one; of Unsqueeze, of the entry that Gather picks. */
function cutOf(site: Site, node: Node | undefined, rank: number): Cut | undefined {
  if (node?.domain !== "") return undefined;
  const numbers = (place: number) => numbersOf(site, node.inputs[place]);
  const [data] = node.inputs as [string];
  if (node.op === "Unsqueeze") {
    const picked = site.producerOf(data);
    const at = picked?.op === "Gather" && picked.domain === "" ? numbersOf(site, picked.inputs[1]) : undefined;
    if (!picked || at?.length !== 1 || at[0]! < 0) return undefined;
    const [axis, back] = [fromFront(Number(picked.attributes.axis ?? 0), rank), numbers(1)];
    const isBack = back?.length === 1 && fromFront(back[0]!, rank) === axis;
    return isBack ? { of: picked.inputs[0]!, axis, from: at[0]!, to: at[0]! + 1 } : undefined;
  }
  if (node.op !== "Slice") return undefined;
  const [from, to, axes, by] = [numbers(1), numbers(2), numbers(3), node.inputs[4] ? numbers(4) : [1]];
  if (from?.length !== 1 || to?.length !== 1 || axes?.length !== 1 || by?.[0] !== 1) return undefined;
  return { of: data, axis: fromFront(axes[0]!, rank), from: from[0]!, to: to[0]! };
}

/** A constant, also one that a node holds. */
function numbersOf(site: Site, name: string | undefined): readonly number[] | undefined {
  const value = name ? site.producerOf(name)?.attributes.value : undefined;
  if (value && typeof value === "object" && "data" in value) return [...toNumbers(value as Tensor)];
  return name ? site.numbersOf(name) : undefined;
}
