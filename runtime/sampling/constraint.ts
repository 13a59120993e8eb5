/** What a text must match, as the sampler sees it; `longconv-ssm/constrain` makes them. */
import type { LogitsProcessor } from "./sampler.ts";

/** A rule for whole texts. It keeps nothing of a text: give one to as many as you like. */
export interface Constraint {
  /**
   * Begins a text.
   * @param most tokens that it may have
   * @param stopTokens that end it, where it may end
   * @throws LongConvError bad-input where `most` may be too few
   */
  begin(most: number, stopTokens: ReadonlySet<number>): Matching;
}

/** A text that is on its way. */
export interface Matching {
  /** Makes -Infinity of every token that the text cannot go on with, or not in time. */
  readonly restrict: LogitsProcessor;
  /** The token that was chosen. @returns whether the text is complete, and nothing may follow */
  push(token: number): boolean;
}
