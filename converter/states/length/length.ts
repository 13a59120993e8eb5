/**
 * The length cache: a state without elements that grows with the text, for drivers that read the past length from it. It closes no
 * opening: it is there where such a driver is asked for, and no state of rows tells it.
 */
import type { Realisation } from "../../find/carried.ts";
import type { Found } from "../../find/found.ts";
import { addLengthCache } from "../../graph/length-cache.ts";

/** The name of its kind. */
export const LENGTH = "length";

/** The length cache beside these realisations; undefined where rows of keys and values tell the length. */
export function lengthCache(found: Found, beside: readonly Realisation[]): Realisation | undefined {
  if (beside.some(({ reports }) => reports.some(({ state }) => state === "cache"))) return undefined;
  const { inputs, index } = found.graphs;
  const reader = index.consumers.get(inputs.main.name)?.[0];
  if (!reader) return undefined;
  return {
    ...{ opening: reader, nodes: new Set(), needsStart: false },
    reports: [],
    // a file for one token has static shapes, and none of its drivers reads a length
    add: (b, { symbols, path }) => (path === "step" ? [] : [addLengthCache(b, symbols)]),
  };
}
