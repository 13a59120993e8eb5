/**
 * Loops whose states are sums: constant factors times the states before, and what does not depend on them. By rule, from the graph that
 * the loop runs; factors that depend on what is read are none.
 */
import type { Node } from "../../graph/graph.ts";
import { toNumbers } from "../../graph/tensor.ts";
import type { Constant } from "../../time/fold.ts";
import type { Body } from "./body.ts";

/** What does not depend on the states: a tensor of the body, or what is made of several. */
export type Rest =
  | { readonly kind: "tensor"; readonly name: string }
  | { readonly kind: "made"; readonly op: "Add" | "Sub" | "Mul" | "Div" | "Neg"; readonly of: readonly Rest[] };

/** Factors of states, by their index, of each element; and the rest. */
export interface Affine {
  readonly factors: ReadonlyMap<number, Float64Array>;
  readonly rest: Rest | undefined;
}

/** "free": it does not depend on a state; undefined: in another way than as such a sum. */
type Read = Affine | "free" | undefined;

/** @param dims of every state behind the batch @returns each state after a position; undefined where one is no such sum */
export function affineStates(
  { inputs, outputs, nodes }: Body,
  count: number,
  dims: readonly number[],
  constants: ReadonlyMap<string, Constant>,
): Affine[] | undefined {
  const size = dims.reduce((a, b) => a * b, 1);
  const read = new Map<string, Read>();
  for (const [i, name] of inputs.entries()) {
    const own = new Map([[i, new Float64Array(size).fill(1)]]);
    read.set(name, i < count ? { factors: own, rest: undefined } : "free");
  }
  for (const name of constants.keys()) read.set(name, "free");
  const numbers = (name: string) => {
    const constant = constants.get(name);
    return constant && elements(constant, dims);
  };
  for (const node of nodes) {
    const given = node.inputs.map((name) => (name ? read.get(name) : "free"));
    const isFree = node.inputs.every((name, i) => !name || given[i] === "free");
    for (const output of node.outputs)
      if (!read.has(output)) read.set(output, isFree ? "free" : sumOf(node, given, numbers));
  }
  const states = outputs.slice(0, count).map((name): Affine | undefined => {
    const state = read.get(name);
    return state === "free" ? { factors: new Map(), rest: { kind: "tensor", name } } : state;
  });
  return states.every((state) => state !== undefined) ? states : undefined;
}

/** What a node makes of sums. */
function sumOf(
  { op, domain, inputs }: Node,
  given: readonly Read[],
  numbers: (name: string) => Float64Array | undefined,
): Affine | undefined {
  if (domain !== "" || given.includes(undefined)) return undefined;
  const [a, b] = inputs.map((name, i): Affine => {
    const own = given[i];
    return own === "free" ? { factors: new Map(), rest: { kind: "tensor", name } } : own!;
  });
  const scaled = (sum: Affine, by: (value: number, k: number) => number, rest: (own: Rest) => Rest): Affine => ({
    factors: new Map([...sum.factors].map(([state, values]) => [state, values.map(by)])),
    rest: sum.rest && rest(sum.rest),
  });
  const negated = (sum: Affine) =>
    scaled(
      sum,
      (value) => -value,
      (own) => ({ kind: "made", op: "Neg", of: [own] }),
    );
  if (op === "Identity") return a;
  if (op === "Neg") return negated(a!);
  if (op === "Add") return added(a!, b!, "Add");
  if (op === "Sub") return a!.rest || !b!.rest ? added(a!, negatedFactors(b!), "Sub") : added(a!, negated(b!), "Add");
  if (op === "Sum" && inputs.length === 1) return a;
  if (op === "Sum" && inputs.length === 2) return added(a!, b!, "Add");
  const at = op === "Mul" ? given.indexOf("free") : op === "Div" && given[1] === "free" ? 1 : -1;
  const values = at < 0 ? undefined : numbers(inputs[at]!);
  if (!values) return undefined;
  const by: Rest = { kind: "tensor", name: inputs[at]! };
  const made = (own: Rest): Rest => ({ kind: "made", op: op as "Mul" | "Div", of: [own, by] });
  const times = (value: number, k: number) => (op === "Mul" ? value * values[k]! : value / values[k]!);
  return scaled(at === 0 ? b! : a!, times, made);
}

const negatedFactors = ({ factors, rest }: Affine): Affine => ({
  factors: new Map([...factors].map(([state, values]) => [state, values.map((value) => -value)])),
  rest,
});

/** The sum of two; their factors have their signs. */
function added(a: Affine, b: Affine, op: "Add" | "Sub"): Affine {
  const factors = new Map(a.factors);
  for (const [state, values] of b.factors) {
    const own = factors.get(state);
    factors.set(state, own ? own.map((value, k) => value + values[k]!) : values);
  }
  const rest: Rest | undefined = a.rest && b.rest ? { kind: "made", op, of: [a.rest, b.rest] } : (a.rest ?? b.rest);
  return { factors, rest };
}

/** A constant's values at each element of a state; undefined where it is larger, or another one in each row of a batch. */
function elements({ dims: own, tensor }: Constant, dims: readonly number[]): Float64Array | undefined {
  const front = own.length - dims.length;
  if (front > 1 || (front === 1 && own[0] !== 1)) return undefined;
  const aligned = own.slice(Math.max(0, front));
  const missing = dims.length - aligned.length;
  if (!aligned.every((size, k) => size === 1 || size === dims[k + missing])) return undefined;
  const values = toNumbers(tensor());
  const steps = aligned.map((size, k) => (size === 1 ? 0 : aligned.slice(k + 1).reduce((a, b) => a * b, 1)));
  const total = dims.reduce((a, b) => a * b, 1);
  return Float64Array.from({ length: total }, (_, at) => {
    let [rest, place] = [at, 0];
    for (let k = dims.length - 1; k >= 0; k--) {
      const index = rest % dims[k]!;
      rest = (rest - index) / dims[k]!;
      if (k >= missing) place += index * steps[k - missing]!;
    }
    return values[place]!;
  });
}
