/** Going back in a sequence of tokens: what stays, and what is read after it. */

import { checkCount, checkNumbers } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Model } from "../model/model.ts";
import { encodePrompt, type Ids } from "../model/tokens.ts";
import type { GenerateOptions } from "./options.ts";

/** What is different from the generation that is taken back. */
export type RewindOptions = Omit<GenerateOptions, "state" | "history">;

/** What a generation has been told and has made. */
export interface Told {
  readonly prompt: Ids;
  readonly made: Ids;
}

/** What stays of it. */
export interface Stays extends Told {
  /** A text of its own begins, of which nothing is made yet: all that stays is its prompt. */
  readonly anew: boolean;
}

/**
 * What stays when so many of the last tokens are taken back.
 * @throws LongConvError bad-input where there are not so many
 */
export function stays({ prompt, made }: Told, tokens: number, { prompt: text, inputIds }: RewindOptions): Stays {
  checkCount("tokens", tokens, 0);
  const count = prompt.length + made.length;
  if (tokens > count) {
    const reason = `${tokens} tokens cannot be taken back: there are ${count} since the generation began`;
    throw new LongConvError("bad-input", reason, {}, "Go back from an earlier state, or begin anew.");
  }
  const anew = tokens > made.length || text !== undefined || inputIds !== undefined;
  const all = [...prompt, ...made].slice(0, count - tokens);
  return anew ? { prompt: all, made: [], anew } : { prompt, made: made.slice(0, made.length - tokens), anew };
}

/** The options of a text that begins after the ids that stay, with what is to be read instead of the others. */
export function optionsAfter(
  model: Model,
  options: GenerateOptions,
  changes: RewindOptions,
  ids: Ids,
): GenerateOptions {
  const { prompt: before, inputIds: old, ...same } = options;
  const { prompt, inputIds, ...others } = changes;
  if (prompt !== undefined && inputIds !== undefined)
    throw new LongConvError("bad-input", "give a prompt or inputIds, not both");
  if (inputIds !== undefined) checkNumbers("inputIds", inputIds);
  const special = others.addSpecialTokens ?? (ids.length === 0 && !options.state);
  const more = prompt === undefined ? Array.from(inputIds ?? []) : encodePrompt(model, prompt, special);
  return { ...same, ...others, inputIds: [...ids, ...more] };
}
