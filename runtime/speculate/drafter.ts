/** Who guesses the tokens to come. What is guessed wrong costs time, and changes nothing. */

import type { Model } from "../model/model.ts";
import type { Ids } from "../model/tokens.ts";

/** Drafts for one sequence. */
export interface Drafting {
  /**
   * @param ids the sequence so far: its prompt, and what was made
   * @param most tokens to propose at most
   */
  propose(ids: Ids, most: number): Ids | Promise<Ids>;
  /** The sequence has ended. */
  end(): void;
}

/** An option of `generate`: promptLookup, draftModel, or one of your own. It may be given to many generations. */
export interface Drafter {
  /** Tokens that are proposed at a time, at most. */
  readonly tokens: number;
  /** @param model whose tokens are guessed */
  start(model: Model): Drafting;
}

/** How many tokens are proposed next: more where all were right, else as many as were, and one. */
export const nextWidth = (drafter: Drafter, proposed: number, right: number): number =>
  right < proposed ? right + 1 : Math.min(drafter.tokens, 2 * proposed);
