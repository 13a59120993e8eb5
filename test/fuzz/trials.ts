/** At which sizes and in which pieces a conversion is compared: none beyond its claim, and the claim's own end. */
import type { Claim } from "../../src/contract.ts";
import { tokenByToken } from "../converted.ts";
import type { Size } from "./draft.ts";
import type { FuzzGraph } from "./generate.ts";
import type { Random } from "./random.ts";

export type Way = "whole" | "token by token" | "at random" | "at the end" | "each row alone";

export interface Trial extends Size {
  /** Of the signal; ids have none. */
  readonly amplitude: number;
  readonly ways: readonly Way[];
}

const trial = (batch: number, length: number, ways: readonly Way[], amplitude = 1): Trial => ({
  batch,
  length,
  amplitude,
  ways,
});

/** Few of them are the converter's own. */
const NEAR: readonly Trial[] = [
  trial(1, 24, ["whole", "token by token"]),
  trial(2, 1, ["whole"]),
  trial(1, 2, ["token by token"]),
  trial(1, 3, ["whole"]),
  trial(2, 96, ["at random"]),
  trial(1, 37, ["at random"]),
  trial(1, 101, ["at random"]),
  // beyond the longest table of rows
  trial(1, 613, ["at the end"]),
  trial(1, 64, ["at random"], 5),
  trial(3, 32, ["whole", "each row alone"]),
  trial(12, 19, ["whole", "each row alone"]),
  trial(17, 13, ["token by token"]),
];

/** Odd, prime, powers of two and others, far beyond what is convenient. */
const FAR = [1021, 2048, 4099, 5003, 8191, 10_007, 16_384, 20_000];
/** No more are compared: in a graph that has a matrix over two time axes, in one of the zoo, in any other. */
export const LONGEST = { square: 1300, zoo: 5003, linear: 20_000 } as const;

/**
 * The trials of a conversion with this claim.
 * @param chance of one that is far beyond
 */
export function trialsOf(
  graph: FuzzGraph,
  { positions = Infinity, rows = Infinity }: Claim,
  r: Random,
  chance: number,
): Trial[] {
  const far = r.chance(chance) ? [trial(1, r.pick(FAR), ["at the end"])] : [];
  const differing = graph.differs.map(({ batch, length }) =>
    trial(batch, length, batch > 1 ? ["whole", "each row alone"] : ["at the end"]),
  );
  // a claim that ends is tried at its end
  const ends = [
    ...(positions <= graph.longest ? [trial(1, positions, ["at the end", "at random"])] : []),
    ...(rows <= 64 ? [trial(rows, 11, ["whole"])] : []),
  ];
  const within = [...NEAR, ...differing, ...far, ...ends].map((each) => ({
    ...each,
    batch: graph.batch ?? Math.min(each.batch, rows),
    length: graph.length ?? Math.min(each.length, positions, graph.longest),
  }));
  const keyed = within.map(
    (each) => [`${each.batch} ${each.length} ${each.amplitude} ${each.ways.join()}`, each] as const,
  );
  return [...new Map(keyed).values()];
}

/** Ascending ends of the pieces in which a sequence is read. */
export function cutsOf(way: Way, length: number, r: Random): number[] {
  if (way === "token by token") return tokenByToken(length);
  if (way === "at the end") return Array.from({ length: 5 }, (_, i) => length - 4 + i).filter((end) => end > 0);
  if (way === "whole") return [length];
  const cuts: number[] = [];
  for (let at = 0; at < length; cuts.push(at))
    at = Math.min(length, at + (r.chance(0.3) ? 1 : r.int(1, Math.ceil(length / 3))));
  return cuts;
}
