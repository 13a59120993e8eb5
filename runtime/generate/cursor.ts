/** What a generation has read: its state, what is still to be read, and who holds the state. */
import { LongConvError } from "../../src/errors.ts";
import { type History, stopsIn } from "../kept/history.ts";
import type { Model, State } from "../model/model.ts";
import { drain, readSlices, readTokens, retire } from "../model/read.ts";
import { disposeState, sliceState } from "../model/state.ts";
import { zeroState } from "../model/step.ts";
import type { Ids } from "../model/tokens.ts";
import { readAhead } from "../speculate/read-ahead.ts";
import type { GenerateOptions } from "./options.ts";
import { type PromptUsage, prefillWhole } from "./prefill.ts";

export interface Cursor {
  /**
   * Reads what has not been read, and after it drafts of the tokens that may come.
   * @returns the logits of the next token, and of those after each draft
   */
  logits(drafts?: Ids): Promise<readonly Float32Array[]>;
  /** The token that was chosen, to be read next, or read already as a draft. */
  push(token: number): Promise<void>;
  /** The state after everything pushed, which the cursor then leaves as it is. */
  snapshot(): Promise<State>;
  /** The state after what has been read, for somebody who keeps it, and how many tokens that is. */
  share(): { readonly at: number; readonly state: State };
  /** What the prompt took; undefined before it was read. */
  readonly usage: PromptUsage | undefined;
  /** Gives up the state, when the snapshots asked for are taken. */
  end(): Promise<void>;
  /** After an error: keeps the state from before it, on the CPU, where nobody has to free it. */
  keep(): Promise<void>;
}

/** Where a cursor begins. */
export interface Start {
  /** What has been read; it is not changed. Undefined: nothing. */
  readonly state: State | undefined;
  /** How many tokens of the sequence the state has read. */
  readonly at: number;
  /** What is to be read after it. */
  readonly ids: Ids;
  readonly history: History | undefined;
}

/** Unread tokens that no drafts are read after: what is read at once after drafts that were not right grows no further. */
const MOST_UNREAD = 16;

export function createCursor(
  model: Model,
  start: Start,
  { signal, onPrompt, beyond, cache }: Pick<GenerateOptions, "signal" | "onPrompt" | "beyond" | "cache">,
): Cursor {
  const { history } = start;
  let state = start.state ?? zeroState(model);
  // What may be written over: a state that only this generation holds, and that has been read from.
  let owned = start.state === undefined;
  let at = start.at;
  let spare: State | undefined;
  let unread: Ids = start.ids;
  let inPrefill = true;
  let usage: PromptUsage | undefined;
  let ended = false;
  /** What has been read beyond the state: the unread tokens, and drafts. */
  let ahead: { readonly tokens: Ids; readonly state: State } | undefined;

  const forget = (): void => {
    if (ahead && !model.backend.writesIntoFetches) disposeState(ahead.state);
    ahead = undefined;
  };

  /** The unread tokens have been read: their state is the next. */
  const goOn = async (next: State, isOwned: boolean): Promise<void> => {
    spare = owned ? retire(model, state) : undefined;
    at += unread.length;
    unread = [];
    state = next;
    owned = isOwned && !(await history?.add(at, next));
  };

  const readFirst = async (): Promise<void> => {
    const before = at;
    const stops = history && stopsIn(unread.length);
    const onState =
      history &&
      ((tokens: number, reached: State) =>
        tokens < unread.length ? history.add(before + tokens, reached) : Promise.resolve(false));
    const from = start.state === undefined ? { cache } : { state };
    const read = await prefillWhole(model, unread, { ...from, signal, onPrompt, beyond, stops, onState });
    usage = { tokens: before + unread.length, cachedTokens: before + read.cachedTokens };
    await goOn(read.state, read.owned);
  };

  const settle = async (): Promise<void> => {
    if (unread.length === 0) return;
    if (ahead?.tokens.length === unread.length) {
      const { state: next } = ahead;
      ahead = undefined;
      return goOn(next, true);
    }
    forget();
    if (inPrefill) return readFirst();
    const next =
      unread.length === 1
        ? await readTokens(model, unread, state, { overwrite: spare, beyond })
        : await drain(readSlices(model, [unread], { state, beyond }));
    await goOn(next, true);
  };
  let settling: Promise<void> | undefined;
  const settled = (): Promise<void> => {
    settling ??= settle().finally(() => {
      settling = undefined;
    });
    return settling;
  };

  /** Settles when every snapshot asked for has its state, or its error. */
  let snapshots: Promise<void> = Promise.resolve();

  const release = () => {
    forget();
    if (owned) disposeState(state);
    owned = false;
    spare = undefined;
    // A generation may be kept for longer than the states that it has given away.
    state = { session: model.session, batchSize: 0, positions: [], tensors: [] };
  };

  return {
    async logits(drafts = []) {
      if (inPrefill || drafts.length === 0 || unread.length > MOST_UNREAD) {
        await settled();
        inPrefill = false;
        return [state.logits!];
      }
      await settling;
      forget();
      const tokens = [...unread, ...drafts];
      const count = drafts.length + Math.min(1, unread.length);
      const read = await readAhead(model, tokens, state, count, { beyond });
      ahead = { tokens, state: read.state };
      return unread.length > 0 ? read.logits : [state.logits!, ...read.logits];
    },
    async push(token) {
      // A snapshot that was not waited for
      await settling?.catch(() => {});
      inPrefill = false;
      if (ahead?.tokens.length === unread.length) await settled();
      unread = [...unread, token];
      if (ahead && ahead.tokens[unread.length - 1] !== token) forget();
    },
    async snapshot() {
      if (ended) {
        throw new LongConvError("bad-input", "the generation has ended", {}, "Take a snapshot with its last piece.");
      }
      const taken = settled().then(() => {
        owned = false;
        return state;
      });
      // Without its value: a chain of values would keep every state for as long as the generation.
      snapshots = Promise.allSettled([snapshots, taken]).then(() => undefined);
      return taken;
    },
    share() {
      if (model.backend.writesIntoFetches) owned = false;
      return { at, state };
    },
    get usage() {
      return usage;
    },
    async end() {
      ended = true;
      await snapshots;
      release();
    },
    async keep() {
      await snapshots;
      if (!owned || model.backend.writesIntoFetches) return;
      try {
        const copy = await sliceState(model, state, [0]);
        release();
        state = copy;
      } catch {
        // It went with its device.
        ended = true;
        release();
      }
    },
  };
}
