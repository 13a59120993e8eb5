/** What a caller may say about a generation. */

import type { PrefixCache } from "../kept/cache.ts";
import type { HistoryOptions } from "../kept/history.ts";
import type { GenerationDefaults } from "../model/defaults.ts";
import type { State } from "../model/model.ts";
import type { Constraint } from "../sampling/constraint.ts";
import type { Drafter } from "../speculate/drafter.ts";
import type { PromptUsage } from "./prefill.ts";

/** Where a generation starts: from a text or ids, after a state, or from a state that knows its next logits. */
export interface StartOptions {
  /** Text to continue; needs the model's tokenizer. */
  readonly prompt?: string;
  /** Token ids to continue, instead of `prompt`. */
  readonly inputIds?: readonly number[] | Int32Array;
  /** Start after this state instead of after nothing. It is not changed: start from it as often as you like. */
  readonly state?: State;
  /** Add the tokenizer's special tokens to the prompt. Default true, but false after a `state`. */
  readonly addSpecialTokens?: boolean;
}

export interface GenerateOptions extends StartOptions, GenerationDefaults {
  /** Texts that end the generation; neither they nor what follows is emitted. */
  readonly stop?: string | readonly string[];
  /** What the text must match, as a whole: `regex` or `jsonSchema` of `longconv-ssm/constrain`. Not of `beamSearch`. */
  readonly constraint?: Constraint;
  /** Leave special tokens out of the text. Default true. */
  readonly skipSpecialTokens?: boolean;
  readonly signal?: AbortSignal;
  /** Give each piece a copy of the logits that its token was chosen from, before sampling changed them. Default false. */
  readonly returnLogits?: boolean;
  /**
   * Go on past the model's claim: what comes then may be wrong, and the model says so once (`onRemark` of `load`).
   * Nothing goes on past its positions. Default false: a generation ends there.
   */
  readonly beyond?: boolean;
  /**
   * Beginnings that were read before are not read again, and this one is kept for others. Of a prompt that starts from
   * nothing.
   */
  readonly cache?: PrefixCache;
  /** Keep states on the way, so that `rewind` need not read all anew. Default false. Of `generate`. */
  readonly history?: boolean | HistoryOptions;
  /** Proposes tokens, of which several are verified in one run; the text is the same. Of `generate`. */
  readonly drafter?: Drafter;
  /** Give the last piece the state at the end of the text. Default false. Of a batch; `generate` has `snapshot`. */
  readonly returnState?: boolean;
  /** Called while the prompt is read. */
  readonly onPrompt?: (progress: { readonly tokens: number; readonly total: number }) => void;
}

/**
 * Why a generation ended: at `maxNewTokens`, with a stop token, before a stop string, complete by its `constraint`
 * (`stop-pattern`); or because prompt and text fill what the model claims (`reach`: `beyond` goes on), or what it has (`positions`:
 * nothing does).
 */
export type FinishReason = "length" | "stop-token" | "stop-string" | "stop-pattern" | "reach" | "positions";

/** What each new token brings. */
export interface Piece {
  readonly token: number;
  /** Text that became certain with this token: whole characters, nothing of a stop string. May be empty. */
  readonly text: string;
  /** Set on the last piece. */
  readonly finish?: FinishReason;
  /** [vocabulary]; where `returnLogits` asks for it. */
  readonly logits?: Float32Array;
  /** Of the last piece, where `returnState` asks for it: after everything read and made but this token. */
  readonly state?: State;
  /** Of the first piece where there is a `cache`: what the prompt took. */
  readonly prompt?: PromptUsage;
}

/** Pieces as they come, in `for await`. TypeScript's AsyncIterableIterator says how it ends only from 5.6 on. */
export interface Pieces extends AsyncIterator<Piece, undefined> {
  [Symbol.asyncIterator](): Pieces;
}
