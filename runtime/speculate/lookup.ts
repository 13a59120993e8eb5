/** Drafts from the sequence itself: what followed the last time that its last tokens occurred (Saxena 2023, "Prompt lookup decoding"). */
import { checkArguments, checkCount } from "../../src/checks.ts";
import type { Ids } from "../model/tokens.ts";
import type { Drafter } from "./drafter.ts";

export interface LookupOptions {
  /** Tokens that are proposed at a time, at most. Default 8. */
  readonly tokens?: number;
  /** Tokens that must have occurred before; the longest that have are taken. Default 2 to 4. */
  readonly least?: number;
  readonly most?: number;
}

/**
 * Proposes what followed the last tokens where they occurred before, in the prompt or in the text: for texts that repeat
 * or quote. Costs next to nothing where they do not.
 *
 *     generate(model, { prompt, drafter: promptLookup() });
 *
 * @throws LongConvError bad-input for an option out of its range
 */
export function promptLookup(options: LookupOptions = {}): Drafter {
  checkArguments({ options: ["options", options] });
  const { tokens = 8, least = 2, most = 4 } = options;
  checkCount("tokens", tokens, 1);
  checkCount("least", least, 1);
  checkCount("most", most, least);
  return {
    tokens,
    start() {
      const seen = createSeen(least, most);
      return { propose: (ids, count) => seen.after(ids, count), end: () => {} };
    },
  };
}

/** Where every run of tokens ended last, by its tokens. */
function createSeen(least: number, most: number) {
  const ends = new Map<string, number>();
  let known = 0;
  const key = (ids: Ids, end: number, length: number) => ids.slice(end - length, end).join(",");
  return {
    after(ids: Ids, count: number): Ids {
      // The last tokens themselves are not yet among them.
      for (; known < ids.length; known++)
        for (let length = least; length <= Math.min(most, known); length++) ends.set(key(ids, known, length), known);
      for (let length = Math.min(most, ids.length - 1); length >= least; length--) {
        const end = ends.get(key(ids, ids.length, length));
        if (end !== undefined) return ids.slice(end, end + count);
      }
      return [];
    },
  };
}
