/**
 * Sizes that no file declares: shapes are followed at two sizes of everything that is open (the batch, the length), and what is the
 * same at both is a size of the model.
 */
import type { Graph } from "../graph/graph.ts";
import { constantsOf, outputsOf } from "./follow.ts";
import type { Known } from "./known.ts";

/** The size of each axis; undefined for one that is not known, or not always the same. */
export type Sizes = readonly (number | undefined)[];

/** A declared axis: a size, the name of one that is open, or nothing. */
export type Declared = readonly (number | string | undefined)[];

/** Sizes of what is open, each its own: small and even, then large and odd, so that neither a limit nor a remainder is taken for a size. */
const SMALL = (open: number): number => 4 + 2 * open;
const LARGE = (open: number): number => 1009 + 10 * open;
/** So that no limit is above it. */
const SMALLEST = (): number => 1;

/** At which sizes of what is open a number is the same, if it is the model's own. */
export const SIZES = [SMALLEST, SMALL, LARGE];

/**
 * Sizes of the tensors of a graph, by name.
 * @param trials of that graph
 */
export function sizesIn([small, large]: Trials): ReadonlyMap<string, Sizes> {
  return new Map(
    [...small].flatMap(([name, { dims }]): [string, Sizes][] => {
      const others = large.get(name)?.dims;
      return dims ? [[name, dims.map((size, k) => (size === others?.[k] && size >= 0 ? size : undefined))]] : [];
    }),
  );
}

/** What is known of the tensors of a graph by name, at two sizes of what is open. */
export type Trials = readonly [ReadonlyMap<string, Known>, ReadonlyMap<string, Known>];

/** @param declared what the file says of sizes; of what is open among it more may be known */
export const trialsOf = (graph: Graph, declared: (tensor: string) => Declared | undefined): Trials => [
  knownAt(graph, declared, SMALL),
  knownAt(graph, declared, LARGE),
];

/**
 * What is known of a graph's tensors where everything that is open has a size.
 * @param sizeOf the n-th size that is open
 */
export function knownAt(
  graph: Graph,
  declared: (tensor: string) => Declared | undefined,
  sizeOf: (open: number) => number = SMALL,
): ReadonlyMap<string, Known> {
  const known = new Map([...constantsOf(graph), ...inputsAt(graph, sizeOf)]);
  for (const node of graph.nodes)
    for (const [i, { dims, values }] of outputsOf(node, known).entries()) {
      const name = node.outputs[i]!;
      if (!name) continue;
      const told = declared(name);
      known.set(name, { values, dims: told?.map((dim, k) => sized(dim) ?? dims?.[k] ?? Number.NaN) ?? dims });
    }
  return known;
}

/** What is known of a graph's inputs. */
export function inputsAt(graph: Graph, sizeOf: (open: number) => number): ReadonlyMap<string, Known> {
  const opens = new Map<string, number>();
  const open = (symbol: string) => {
    if (!opens.has(symbol)) opens.set(symbol, sizeOf(opens.size));
    return opens.get(symbol)!;
  };
  return new Map(
    graph.inputs.map(({ name, dims }) => [
      name,
      { dims: dims?.map((dim, k) => sized(dim) ?? open(String(dim ?? `${name}.${k}`))), values: undefined },
    ]),
  );
}

const sized = (dim: number | string | undefined): number | undefined =>
  typeof dim === "number" && dim >= 0 ? dim : undefined;
