/** One sequence that is being generated: from the logits of the next token to a piece of text, and when it ends. */

import { checkArguments, checkCount, checkNumbers, notValid } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import { roomAfter } from "../model/limit.ts";
import { type Model, refuseOther } from "../model/model.ts";
import { checkIds, encodePrompt, type Ids, languageOf, NO_TOKENIZER } from "../model/tokens.ts";
import type { Constraint, Matching } from "../sampling/constraint.ts";
import { createSampler } from "../sampling/sampler.ts";
import { textStream } from "../text/text.ts";
import type { FinishReason, GenerateOptions, Piece, StartOptions } from "./options.ts";

export interface Sequence {
  /** What is to be read before the first token. May be empty after a state that has its next logits. */
  readonly ids: Ids;
  /** Tokens to make at most. */
  readonly maxNewTokens: number;
  /** Chooses the next token. @param logits [vocabulary]; not changed */
  choose(logits: Float32Array): Piece;
  /** How many more tokens can be made. */
  readonly left: number;
  /** Why it ends when they are made. */
  readonly finish: "length" | "reach" | "positions";
}

/**
 * Checks the options and starts a sequence; nothing is run.
 * @param defaults of whoever runs it
 * @param tokens that it has chosen already, as it chooses them by these options
 * @throws LongConvError bad-input, token-out-of-range, state-mismatch; beyond-claim, beyond-positions where the prompt is
 *   too long, or leaves no room for a token
 */
export function createSequence(
  model: Model,
  given: GenerateOptions,
  defaults: Pick<GenerateOptions, "beyond"> = {},
  tokens: Ids = [],
): Sequence {
  checkArguments({ "the options": ["options", given] });
  const options = { ...defaults, ...model.defaults, ...withoutUndefined(given) };
  const language = languageOf(model);
  const ids = startIds(model, options);
  checkIds(ids, language, model.file);
  if (options.state) refuseOther(model, options.state);
  if (options.cache) checkCache(model, options);
  if (options.state && options.state.batchSize !== 1) {
    const reason = `a generation starts from a state of one row, got ${options.state.batchSize}`;
    throw new LongConvError("bad-input", reason, {}, "Take a row with sliceState(model, state, [row]).");
  }
  if (ids.length === 0 && !options.state?.logits) {
    throw new LongConvError("bad-input", "there is nothing to continue", {}, "Give a prompt or inputIds of ≥ 1 token.");
  }
  const { maxNewTokens = 256, stopTokens = [], returnLogits = false, beyond = false, onPrompt } = options;
  checkCount("maxNewTokens", maxNewTokens, 0);
  checkNumbers("stopTokens", stopTokens);
  if (onPrompt !== undefined && typeof onPrompt !== "function") throw notValid("onPrompt", "a function", onPrompt);
  if (typeof beyond !== "boolean") throw notValid("beyond", "true or false", beyond);
  const { room, by } = roomAfter(model, options.state?.positions[0] ?? 0, ids.length, maxNewTokens, beyond);
  const stop = stopStrings(options);
  if (stop.length > 0 && !model.tokenizer) {
    throw new LongConvError("bad-input", "stop strings need a tokenizer", { file: model.file }, NO_TOKENIZER);
  }
  const text = model.tokenizer && textStream(model.tokenizer, { stop, after: ids, ...skipOf(options) });
  const ends = new Set(stopTokens);
  const matching = matchingOf(options, Math.min(maxNewTokens, room), ends);
  const processors = [options.processors ?? [], matching?.restrict ?? []].flat();
  const sampler = createSampler({ ...options, processors }, ids);
  let made = 0;
  for (const token of tokens) {
    sampler.accept(token);
    text?.push(token);
    matching?.push(token);
    made++;
  }

  const choose = (logits: Float32Array): Piece => {
    const token = sampler.choose(sampler.changesLogits ? logits.slice() : logits);
    made++;
    const stops = ends.has(token);
    const pushed = stops ? undefined : text?.push(token);
    const isComplete = !stops && matching?.push(token);
    let finish: FinishReason | undefined;
    if (stops) finish = "stop-token";
    else if (pushed?.stopped) finish = "stop-string";
    else if (isComplete) finish = "stop-pattern";
    else if (made >= maxNewTokens) finish = "length";
    else if (made >= room) finish = by;
    const piece = { token, text: (pushed?.text ?? "") + (finish ? (text?.flush() ?? "") : "") };
    const kept = returnLogits ? { ...piece, logits: logits.slice() } : piece;
    return finish ? { ...kept, finish } : kept;
  };
  return {
    ...{ ids, maxNewTokens, choose },
    finish: maxNewTokens <= room ? "length" : by,
    get left() {
      return Math.min(maxNewTokens, room) - made;
    },
  };
}

function matchingOf({ constraint }: GenerateOptions, most: number, ends: ReadonlySet<number>): Matching | undefined {
  if (constraint === undefined) return undefined;
  if (typeof (constraint as Partial<Constraint> | null)?.begin !== "function")
    throw notValid("constraint", "what longconv-ssm/constrain makes", constraint);
  return constraint.begin(most, ends);
}

function checkCache(model: Model, { cache, state }: GenerateOptions): void {
  if (state) {
    const reason = "a cache holds what was read from nothing, and the generation starts from a state";
    throw new LongConvError("bad-input", reason, {}, "Give `cache` or `state`.");
  }
  if (cache!.model?.session === model.session) return;
  const remedy = "Make one with createPrefixCache(model).";
  throw new LongConvError("state-mismatch", "the cache belongs to another model", { file: model.file }, remedy);
}

function startIds(model: Model, { prompt, inputIds, state, addSpecialTokens = !state }: StartOptions): Ids {
  if (prompt !== undefined && inputIds !== undefined) {
    throw new LongConvError("bad-input", "give a prompt or inputIds, not both");
  }
  if (inputIds !== undefined) {
    checkNumbers("inputIds", inputIds);
    return Array.from(inputIds);
  }
  if (prompt === undefined) return [];
  if (typeof prompt !== "string") throw notValid("prompt", "a text", prompt);
  return encodePrompt(model, prompt, addSpecialTokens);
}

function stopStrings({ stop = [] }: GenerateOptions): string[] {
  const all: unknown[] = [stop].flat();
  const wrong = all.findIndex((each) => typeof each !== "string");
  if (wrong >= 0) throw notValid("stop", "a text or an array of texts", all[wrong]);
  return (all as string[]).filter((text) => text !== "");
}

const skipOf = ({ skipSpecialTokens }: GenerateOptions) =>
  skipSpecialTokens === undefined ? {} : { skipSpecialTokens };

/** So that an option passed as undefined means its default. */
function withoutUndefined(options: GenerateOptions): GenerateOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
