/** A prompt from its beginning: what was read before is taken from a cache, and states on the way are handed on. */
import { named } from "../../src/unforeseen.ts";
import type { PrefixCache } from "../kept/cache.ts";
import type { Model, State } from "../model/model.ts";
import { type ReadOptions, readSlices } from "../model/read.ts";
import { disposeState } from "../model/state.ts";
import type { Ids } from "../model/tokens.ts";

export interface PrefillOptions extends ReadOptions {
  /** Of a prompt that starts from nothing. */
  readonly cache?: PrefixCache | undefined;
  /** Numbers of tokens after which the state is wanted as well as at the end. */
  readonly stops?: readonly number[] | undefined;
  /** Takes the state after so many tokens. @returns whether it keeps it, so that nobody may write over it */
  readonly onState?: ((tokens: number, state: State) => Promise<boolean>) | undefined;
}

export interface Prefilled {
  readonly state: State;
  /** Nobody else holds the state. */
  readonly owned: boolean;
  /** Tokens that were read before. */
  readonly cachedTokens: number;
}

/** What a prompt took, of which each part is counted once. */
export interface PromptUsage {
  readonly tokens: number;
  /** Those of its beginning that were read before, and not again. */
  readonly cachedTokens: number;
}

/**
 * Reads a prompt of at least one token, a slice at a time: yields after each, so that other work can go between.
 * @throws LongConvError what a run throws; aborted
 */
export async function* prefill(model: Model, ids: Ids, options: PrefillOptions): AsyncGenerator<void, Prefilled> {
  const { cache, stops = [], onState, onPrompt, ...rest } = options;
  const found = await cache?.find(ids);
  const cachedTokens = found?.tokens ?? 0;
  let state = found?.state ?? options.state;
  let owned = false;
  let at = cachedTokens;
  const parting = cache?.parting(ids) ?? 0;
  const ends = [...new Set([...stops, parting, ids.length])].filter((end) => end > at).sort((a, b) => a - b);
  if (ends.length === 0) onPrompt?.({ tokens: ids.length, total: ids.length });
  let done = false;
  try {
    for (const end of ends) {
      const before = at;
      const next: State = yield* readSlices(model, [ids.slice(at, end)], {
        ...rest,
        ...{ state, onPrompt: onPrompt && (({ tokens }) => onPrompt({ tokens: before + tokens, total: ids.length })) },
      });
      if (owned && state) disposeState(state);
      [state, owned, at] = [next, true, end];
      const wanted = end === parting || end === ids.length;
      if (cache && wanted) await cache.keep(ids.slice(0, end), next);
      const taken = (await onState?.(end, next)) ?? false;
      // On a device what is kept is a copy.
      owned = !taken && !(cache && wanted && model.backend.writesIntoFetches);
      if (end < ids.length) yield;
    }
    done = true;
  } finally {
    if (!done && owned && state) disposeState(state);
  }
  return { state: state!, owned, cachedTokens };
}

/** {@link prefill}, to its end. */
export const prefillWhole = (model: Model, ids: Ids, options: PrefillOptions): Promise<Prefilled> =>
  named(model.file, async () => {
    const slices = prefill(model, ids, options);
    for (;;) {
      const { done, value } = await slices.next();
      if (done) return value;
    }
  });
