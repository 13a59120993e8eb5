/**
 * Proves that an attention hides the future and does not depend on the length: what stands at query i and key j > i is followed
 * through the graph, as a linear form in i and j, a truth value, or a score that no softmax lets through.
 */
import type { Known } from "../../find/carried.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType, toNumbers } from "../../graph/tensor.ts";
import { fromFront } from "../../time/facts/rule.ts";
import { ELEMENTWISE } from "../../time/rules/elementwise.ts";
import type { Pairs } from "./pairs.ts";
import { grows } from "./positions.ts";

/** What is known of a value at query i and key j = i + d, for every i ≥ 0 and d ≥ 1. */
type Value =
  /** a i + b j + c */
  | { readonly kind: "linear"; readonly a: number; readonly b: number; readonly c: number }
  | { readonly kind: "truth"; readonly value: boolean }
  /** So low that its weight is 0. */
  | { readonly kind: "hidden" }
  /** Anything, but the same in a sequence of any length. */
  | { readonly kind: "any" };

const ANY: Value = { kind: "any" };
const HIDDEN: Value = { kind: "hidden" };
const number = (c: number): Value => (c <= LOWEST ? HIDDEN : { kind: "linear", a: 0, b: 0, c });
const truth = (value: boolean): Value => ({ kind: "truth", value });
/** Scores that exporters write for what is hidden: -infinity, the least float, -1e9. */
const LOWEST = -1e9;

const isZero = (value: Value | undefined): boolean =>
  value?.kind === "linear" && value.a === 0 && value.b === 0 && value.c === 0;

/** Whether nothing behind a query reaches it, by rule, at any length. */
export function hidesFuture(known: Known, pairs: Pairs): boolean {
  const values = new Map<string, Value>();
  const positions = new Map<string, Value | undefined>();
  const valueAt = (name: string): Value | undefined => {
    const made = values.get(name);
    if (made) return made;
    const layout = pairs.positions.get(name);
    if (layout) {
      if (!positions.has(name)) {
        const axisOf = (factor: "time" | "keys") => layout.findIndex((axis) => axis.includes(factor));
        positions.set(name, position(known, name, axisOf("time"), axisOf("keys")));
      }
      return positions.get(name);
    }
    const fact = known.time.facts.get(name);
    if (fact?.kind === "constant") return constant(known, name);
    return fact?.kind === "stream" || fact?.kind === "still" || fact?.kind === "shape" ? ANY : undefined;
  };
  for (const node of pairs.nodes) {
    const inputs = node.inputs.map((name) => (name ? valueAt(name) : ANY));
    if (inputs.some((value) => value === undefined)) return false;
    const keysGone = node.inputs.some((name) => hasKeys(pairs, name)) && !hasKeys(pairs, node.outputs[0]!);
    if (
      keysGone &&
      !isDry(
        node,
        inputs as Value[],
        node.inputs.map((name) => hasKeys(pairs, name)),
      )
    )
      return false;
    const value = keysGone ? ANY : pairOf(node, inputs as Value[]);
    for (const name of node.outputs) if (name) values.set(name, value);
  }
  return true;
}

const hasKeys = ({ layouts, keyed }: Pairs, name: string): boolean =>
  (layouts.get(name) ?? keyed.get(name) ?? []).flat().includes("keys");

/** Whether a sum over the keys takes nothing of the future. */
function isDry({ op }: Node, inputs: readonly Value[], keyed: readonly boolean[]): boolean {
  if (op === "ReduceMax") return inputs[0]!.kind === "hidden";
  if (op === "ReduceSum") return isZero(inputs[0]);
  return op === "MatMul" && inputs.some((value, i) => keyed[i] && isZero(value));
}

/** What a node between queries and keys makes of values there. */
function pairOf(node: Node, inputs: readonly Value[]): Value {
  const [x, y] = inputs;
  switch (node.op) {
    case "Softmax":
      return x!.kind === "hidden" ? number(0) : ANY;
    case "Exp":
      return x!.kind === "hidden" ? number(0) : ANY;
    case "MatMul":
      return ANY;
    case "Div":
      return isZero(x) ? x! : ANY;
    default:
      return elementwise(node, inputs) ?? (inputs.length === 1 || MOVES.has(node.op) ? x! : y && ANY) ?? ANY;
  }
}

/** Operators that move values and leave them as they are. */
const MOVES = new Set(["Reshape", "Transpose", "Unsqueeze", "Squeeze", "Expand", "Identity", "Dropout"]);

function constant({ constants, graphs }: Known, name: string): Value {
  const tensor = constants.get(name)?.tensor() ?? graphs.model.graph.initializers.get(name)?.tensor();
  if (!tensor) return ANY;
  const values = toNumbers(tensor);
  if (values.length === 0 || !values.every((value) => value === values[0])) return ANY;
  return tensor.type === DataType.BOOL ? truth(values[0] !== 0) : number(values[0]!);
}

/** The sign of a linear form for every i ≥ 0 and d ≥ 1, j = i + d; undefined where it is not the same everywhere. */
function signOf({ a, b, c }: { readonly a: number; readonly b: number; readonly c: number }): number | undefined {
  if (a === 0 && b === 0) return Math.sign(c);
  const least = b + c;
  if (a + b >= 0 && b >= 0 && least >= 0) return least > 0 ? 1 : undefined;
  if (a + b <= 0 && b <= 0 && least <= 0) return least < 0 ? -1 : undefined;
  return undefined;
}

/** Whether it is not below 0, or not above it, everywhere. */
const isAtLeast = ({ a, b, c }: { a: number; b: number; c: number }): boolean => a + b >= 0 && b >= 0 && b + c >= 0;
const isAtMost = ({ a, b, c }: { a: number; b: number; c: number }): boolean => a + b <= 0 && b <= 0 && b + c <= 0;

type Linear = Extract<Value, { kind: "linear" }>;

const combined = (x: Linear, y: Linear, by: number): Linear => ({
  kind: "linear",
  a: x.a + by * y.a,
  b: x.b + by * y.b,
  c: x.c + by * y.c,
});

/** A truth value as a number, where it is one. */
const asNumber = (value: Value): Value => (value.kind === "truth" ? number(value.value ? 1 : 0) : value);

/** What an elementwise operator makes of values; undefined where nothing more is known. */
function elementwise(node: Node, inputs: readonly Value[]): Value | undefined {
  const [x, y, z] = inputs;
  const linear = inputs.slice(0, 2).map(asNumber);
  const [p, q] = linear;
  const both = p?.kind === "linear" && q?.kind === "linear" ? ([p, q] as const) : undefined;
  const compare = (decide: (difference: Linear) => boolean | undefined): Value => {
    const decided = both && decide(combined(both[0], both[1], -1));
    return decided === undefined ? ANY : truth(decided);
  };
  switch (node.op) {
    case "Add":
      if (x!.kind === "hidden" || y!.kind === "hidden") return HIDDEN;
      return both ? combined(both[0], both[1], 1) : ANY;
    case "Sub":
      if (x!.kind === "hidden") return HIDDEN;
      return both ? combined(both[0], both[1], -1) : ANY;
    case "Neg":
      return p?.kind === "linear" ? combined(number(0) as Linear, p, -1) : ANY;
    case "Mul": {
      if (isZero(p) || isZero(q)) return number(0);
      const [factor, other] = p?.kind === "linear" && p.a === 0 && p.b === 0 ? [p, q] : [q, p];
      if (factor?.kind !== "linear" || factor.a !== 0 || factor.b !== 0) return ANY;
      if (other?.kind === "hidden") return factor.c > 0 ? HIDDEN : ANY;
      return other?.kind === "linear" ? combined(number(0) as Linear, other, factor.c) : ANY;
    }
    case "Greater":
      return compare((d) => (signOf(d) === 1 ? true : isAtMost(d) ? false : undefined));
    case "GreaterOrEqual":
      return compare((d) => (isAtLeast(d) ? true : signOf(d) === -1 ? false : undefined));
    case "Less":
      return compare((d) => (signOf(d) === -1 ? true : isAtLeast(d) ? false : undefined));
    case "LessOrEqual":
      return compare((d) => (isAtMost(d) ? true : signOf(d) === 1 ? false : undefined));
    case "Equal":
      return compare((d) => (d.a === 0 && d.b === 0 && d.c === 0 ? true : signOf(d) ? false : undefined));
    case "Not":
      return x!.kind === "truth" ? truth(!x!.value) : ANY;
    case "And":
      if ([x!, y!].some((value) => value.kind === "truth" && !value.value)) return truth(false);
      return x!.kind === "truth" && y!.kind === "truth" ? truth(true) : ANY;
    case "Or":
      if ([x!, y!].some((value) => value.kind === "truth" && value.value)) return truth(true);
      return x!.kind === "truth" && y!.kind === "truth" ? truth(false) : ANY;
    case "Where":
      if (x!.kind === "truth") return x!.value ? y! : z!;
      return y!.kind === "hidden" && z!.kind === "hidden" ? HIDDEN : ANY;
    case "Cast": {
      const to = Number(node.attributes.to);
      const value = to === DataType.BOOL ? x! : asNumber(x!);
      if (to === DataType.BOOL && value.kind === "linear") {
        const sign = signOf(value);
        return sign === undefined ? ANY : truth(sign !== 0);
      }
      return value;
    }
    default:
      return ELEMENTWISE.rules[node.op] ? ANY : undefined;
  }
}

/** A function of the position at (i, j); undefined where it may depend on the length. @param row its axis of queries, or -1 */
function position(known: Known, name: string, row: number, key: number): Value | undefined {
  const fact = known.time.facts.get(name);
  if (fact?.kind === "constant" || known.constants.has(name)) return constant(known, name);
  if (fact?.kind !== "position") return undefined;
  const node = known.graphs.index.producer.get(name);
  if (node?.domain !== "") return undefined;
  const rankOf = (tensor: string) =>
    known.graphs.shapes.seen.get(tensor)?.dims[0]?.length ?? known.constants.get(tensor)?.dims.length ?? 0;
  const rank = rankOf(name);
  const [data] = node.inputs;
  switch (node.op) {
    case "Range": {
      const [first, , step] = node.inputs.map((input) => constant(known, input));
      if (first?.kind !== "linear" || step?.kind !== "linear" || step.c !== 1 || first.a || first.b) return undefined;
      return { kind: "linear", a: row === 0 ? 1 : 0, b: key === 0 ? 1 : 0, c: first.c };
    }
    case "Unsqueeze":
    case "Squeeze":
    case "Reshape": {
      // axes that grow keep their order
      const growing = (tensor: string) =>
        Array.from({ length: rankOf(tensor) }, (_, k) => k).filter((k) => grows(known, tensor, k));
      const [own, before] = [growing(name), growing(data!)];
      if (own.length !== before.length) return undefined;
      const moved = (axis: number) => (axis < 0 ? -1 : (before[own.indexOf(axis)] ?? -1));
      return position(known, data!, moved(row), moved(key));
    }
    case "Transpose": {
      const order =
        (node.attributes.perm as readonly number[] | undefined) ?? Array.from({ length: rank }, (_, k) => rank - 1 - k);
      return position(known, data!, order[row] ?? -1, order[key] ?? -1);
    }
    case "Expand":
      return position(
        known,
        data!,
        narrowed(known, data!, row - rank + rankOf(data!)),
        narrowed(known, data!, key - rank + rankOf(data!)),
      );
    case "ConstantOfShape": {
      const { value } = node.attributes;
      return value && typeof value === "object" && "data" in value ? number(toNumbers(value)[0] ?? 0) : number(0);
    }
    case "Trilu": {
      const x = position(known, data!, row, key);
      const by = node.inputs[1] ? constant(known, node.inputs[1]) : number(0);
      if (!x || by.kind !== "linear" || by.a || by.b || row !== rank - 2 || key !== rank - 1) return x && ANY;
      if (Number(node.attributes.upper ?? 1) === 0) return by.c <= 0 ? number(0) : ANY;
      return by.c <= 1 ? x : ANY;
    }
    case "Gather":
    case "GatherND": {
      const [table, indices] = node.inputs;
      const isTable = known.constants.has(table!) && Number(node.attributes.axis ?? 0) === 0;
      // rows beyond the table's end fail, and are never others
      return isTable && position(known, indices!, fromFront(row, rankOf(indices!)), fromFront(key, rankOf(indices!)))
        ? ANY
        : undefined;
    }
  }
  if (!ELEMENTWISE.rules[node.op] && node.op !== "Where") return undefined;
  const inputs = node.inputs.map((input) => {
    const at = (axis: number) => (axis < 0 ? -1 : narrowed(known, input, axis - rank + rankOf(input)));
    return position(known, input, at(row), at(key));
  });
  return inputs.every((value) => value !== undefined) ? (elementwise(node, inputs as Value[]) ?? ANY) : undefined;
}

/** An axis that has an entry for each position; -1 for one that is stretched. */
const narrowed = (known: Known, tensor: string, axis: number): number =>
  axis >= 0 && grows(known, tensor, axis) ? axis : -1;
