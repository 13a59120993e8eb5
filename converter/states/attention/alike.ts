/** The same function of one position, at a query and at a key: blocks and chunks, whatever makes them of the position. */
import type { Known } from "../../find/carried.ts";
import { DataType } from "../../graph/tensor.ts";
import { type At, constantAt, type Made, madeOf } from "./made.ts";
import { number, type Region, truth, type Value } from "./value.ts";

/** What stands at a place, where it is the same number everywhere. */
export type NumberOf = (at: At) => number | undefined;

/** What a comparison of, or the difference between, the same function at a query and at a key is in a region; undefined where that is not known. */
export function comparedAlike(
  known: Known,
  { node: { op }, of: [x, y] }: Extract<Made, { how: "elementwise" }>,
  region: Region,
  numberOf: NumberOf,
): Value | undefined {
  if (!COMPARISONS.has(op) || !x || !y || !isAlike(known, x, y) || !isRising(known, x, numberOf)) return undefined;
  if (region.exactly && region.behind === 0)
    return op === "Sub" ? number(0) : truth(op === "Equal" || /OrEqual/.test(op));
  if (region.behind < 0 || x.key >= 0 === y.key >= 0) return undefined;
  const isEarlier = (region.first === "key") === x.key >= 0;
  const [above, below] = isEarlier ? (["Greater", "LessOrEqual"] as const) : (["Less", "GreaterOrEqual"] as const);
  return op === above ? truth(false) : op === below ? truth(true) : undefined;
}

const COMPARISONS = new Set(["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sub"]);

/** How it is made, behind what only moves it. */
function source(known: Known, at: At): { readonly at: At; readonly made: Made | undefined } {
  let [own, made] = [at, madeOf(known, at)];
  while (made?.how === "moved") [own, made] = [made.of, madeOf(known, made.of)];
  return { at: own, made };
}

/** Its axis of positions, where it has one. */
const axisOf = ({ row, key }: At): number | undefined => (row >= 0 && key >= 0 ? undefined : Math.max(row, key));

/** Whether two are the same function of one position. */
function isAlike(known: Known, one: At, other: At, answers = new Map<string, boolean>()): boolean {
  const [x, y] = [source(known, one), source(known, other)];
  const axes = [axisOf(x.at), axisOf(y.at)];
  if (axes.includes(undefined)) return false;
  if (x.at.name === y.at.name) return axes[0] === axes[1];
  const key = JSON.stringify([x.at, y.at]);
  const before = answers.get(key);
  if (before !== undefined) return before;
  const made = isMadeAlike(known, x, y, (a, b) => isAlike(known, a, b, answers));
  answers.set(key, made);
  return made;
}

type Source = ReturnType<typeof source>;

function isMadeAlike(known: Known, x: Source, y: Source, alike: (a: At, b: At) => boolean): boolean {
  const [m, o] = [x.made, y.made];
  if (m?.how === "constant" && o?.how === "constant") {
    const [a, b] = [x, y].map(({ at }) => constantAt(known, at.name));
    return (a!.kind === "linear" || a!.kind === "truth") && JSON.stringify(a) === JSON.stringify(b);
  }
  if (m?.how === "range" && o?.how === "range") return m.first === o.first;
  if (m?.how !== "elementwise" || o?.how !== "elementwise") return false;
  const told = ({ node: { op, attributes } }: typeof m) => JSON.stringify([op, attributes]);
  return told(m) === told(o) && m.of.length === o.of.length && m.of.every((each, k) => alike(each, o.of[k]!));
}

/** Types in which positions keep their order. */
const HOLDS = new Set<number>([DataType.FLOAT, DataType.DOUBLE, DataType.INT32, DataType.INT64]);

/** Whether it is nowhere less than at an earlier position. */
function isRising(known: Known, at: At, numberOf: NumberOf): boolean {
  const { at: own, made } = source(known, at);
  if (made?.how === "range" || numberOf(own) !== undefined) return true;
  if (made?.how !== "elementwise") return false;
  const { node, of } = made;
  const [x, y] = of as [At, At | undefined];
  const by = y && numberOf(y);
  const rises = (each: At) => isRising(known, each, numberOf);
  switch (node.op) {
    case "Add":
    case "Max":
    case "Min":
      return of.every(rises);
    case "Sub":
      return by !== undefined && rises(x);
    case "Mul":
    case "Div":
      return by !== undefined && by > 0 && rises(x);
    case "Floor":
    case "Ceil":
    case "Identity":
      return rises(x);
    case "Cast":
      return HOLDS.has(Number(node.attributes.to)) && rises(x);
    default:
      return false;
  }
}
