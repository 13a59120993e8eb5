/** Text from one prompt, token by token. */

import { checkArguments } from "../../src/checks.ts";
import type { PrefixCache } from "../kept/cache.ts";
import { createHistory } from "../kept/history.ts";
import type { Model, State } from "../model/model.ts";
import { throwIfAborted } from "../model/read.ts";
import { nextWidth } from "../speculate/drafter.ts";
import { createCursor, type Start } from "./cursor.ts";
import type { GenerateOptions, Piece, Pieces } from "./options.ts";
import { optionsAfter, type RewindOptions, stays } from "./rewind.ts";
import { createSequence, type Sequence } from "./sequence.ts";

/** A running generation: iterate over it for its pieces. */
export interface Generation extends Pieces {
  /**
   * The state after everything read and emitted so far, with the logits of the next token: a value that stays as it is
   * while the generation goes on. Ask between pieces, or in the loop's body with the last one; or after an error or an
   * abort, to go on from there: the state from before it is kept, on the CPU, unless it went with a lost device.
   * @throws LongConvError bad-input where the generation has ended; what reading throws, also aborted in a prompt
   */
  snapshot(): Promise<State>;
  /**
   * A generation that goes on from `tokens` tokens ago, also where this one has ended; this one stays as it is. Tokens of
   * the prompt can be taken back, too. Without anything to read instead, it goes on as this one did: with a seed it draws
   * the same tokens, and `maxNewTokens` counts those that stay. With `prompt` or `inputIds`, these are read after what
   * stays, and a new text begins. With the option `history` it starts at the nearest state that was kept, else it reads
   * what stays anew.
   *
   *     const chat = generate(model, { prompt: "Who was Moses?", history: true });
   *     for await (const { text } of chat) answer += text;
   *     const edited = chat.rewind(tokens, { prompt: "Who was Aaron?" });
   *
   * @throws LongConvError bad-input for more tokens than there are since the start, or since the `state` that it started
   *   from; what `generate` throws
   */
  rewind(tokens: number, options?: RewindOptions): Generation;
}

/**
 * Generates from a prompt, or from a state: an async iterator of pieces, one a token. Greedy unless a sampling setting
 * is given. Each step costs the same at any length.
 *
 *     import { generate, load } from "longconv-ssm/node";
 *     const model = await load("model");
 *     for await (const { text } of generate(model, { prompt: "In the beginning", maxNewTokens: 100, topP: 0.9 })) {
 *       process.stdout.write(text);
 *     }
 *     await model.close();
 *
 * Leaving the loop ends the generation. Where it runs on a GPU, its state is freed then, and
 * after an error, unless it was taken by `snapshot()`.
 * At the end of what the model claims, or has, the last piece says so (`reach`, `positions`).
 * @throws LongConvError bad-input, token-out-of-range, state-mismatch at once, and beyond-claim, beyond-positions where the
 *   prompt leaves no room for a token; aborted, runtime-failed while iterating
 */
export function generate(model: Model, options: GenerateOptions): Generation {
  checkArguments({ model: ["loaded", model], options: ["options", options] });
  const sequence = createSequence(model, options);
  const limits = options.history === true ? {} : options.history || undefined;
  const history = limits && createHistory(model, limits);
  return begin(model, options, sequence, [], { state: options.state, at: 0, ids: sequence.ids, history });
}

/** @param made tokens that the sequence has chosen already */
function begin(
  model: Model,
  options: GenerateOptions,
  sequence: Sequence,
  already: readonly number[],
  start: Start,
): Generation {
  const { signal, cache, drafter } = options;
  const made = [...already];
  const cursor = createCursor(model, start, options);
  const drafting = drafter?.start(model);
  const soFar = () => [...sequence.ids, ...made];

  const pieces = async function* (): AsyncGenerator<Piece, undefined> {
    let failed = false;
    let width = drafter?.tokens ?? 0;
    let said = false;
    try {
      while (sequence.left > 0) {
        throwIfAborted(signal);
        // Not before the prompt is read; and nothing is read beyond the last token.
        const most = said ? Math.min(width, sequence.left - 1) : 0;
        const drafts = drafting && most > 0 ? await drafting.propose(soFar(), most) : [];
        const logits = await cursor.logits(drafts);
        // Aborted while the model ran: no token more.
        throwIfAborted(signal);
        let right = 0;
        for (const [index, each] of logits.entries()) {
          const piece = sequence.choose(each);
          made.push(piece.token);
          await cursor.push(piece.token);
          if (piece.finish && cache) await keep(cache);
          yield said || !cache || !cursor.usage ? piece : { ...piece, prompt: cursor.usage };
          said = true;
          if (piece.finish) return;
          throwIfAborted(signal);
          if (piece.token !== drafts[index]) break;
          right++;
        }
        if (drafter && logits.length > 1) width = nextWidth(drafter, drafts.length, right);
      }
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      drafting?.end();
      await (failed ? cursor.keep() : cursor.end());
    }
  };

  /** The text so far is the beginning of what is said next. */
  const keep = async (to: PrefixCache): Promise<void> => {
    const { at, state } = cursor.share();
    if (at > sequence.ids.length) await to.keep(soFar().slice(0, at), state);
  };

  const rewind = (tokens: number, changes: RewindOptions = {}): Generation => {
    const left = stays({ prompt: sequence.ids, made }, tokens, changes);
    const ids = [...left.prompt, ...left.made];
    const next = left.anew ? optionsAfter(model, options, changes, ids) : { ...options, ...changes };
    const after = createSequence(model, next, {}, left.made);
    const all = [...after.ids, ...left.made];
    // The next logits are those of the last token's state.
    const found = start.history?.before(ids.length);
    const at = found?.at ?? 0;
    return begin(model, next, after, left.made, {
      ...{ state: found?.state ?? options.state, at, ids: all.slice(at) },
      history: start.history?.until(at),
    });
  };

  return Object.assign(pieces(), { snapshot: cursor.snapshot, rewind });
}
