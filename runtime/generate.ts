/** Text from one prompt, token by token. */
import { LongConvError } from "../src/errors.ts";
import type { GenerateOptions, Piece } from "./options.ts";
import { read, readTokens, retire, throwIfAborted } from "./read.ts";
import { createSequence } from "./sequence.ts";
import type { Model } from "./session.ts";
import { disposeState, type State } from "./state.ts";
import { zeroState } from "./step.ts";

/** A running generation: iterate over it for its pieces. */
export interface Generation extends AsyncIterableIterator<Piece, undefined> {
  /**
   * The state after everything read and emitted so far, with the logits of the next token: a value that stays as it is
   * while the generation goes on. Ask between pieces, or in the loop's body with the last one.
   */
  snapshot(): Promise<State>;
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
 * Leaving the loop ends the generation. Where it runs on a GPU, its state is freed then, unless it was taken by
 * `snapshot()`.
 * @throws LongConvError bad-input, token-out-of-range, state-mismatch at once; aborted, runtime-failed while iterating
 */
export function generate(model: Model, options: GenerateOptions): Generation {
  const sequence = createSequence(model, options);
  const { signal } = options;
  let state = options.state ?? zeroState(model);
  // What may be written over: a state that only this generation holds, and that has been read from.
  let owned = options.state === undefined;
  let spare: State | undefined;
  let prompt = sequence.ids;
  let unread: number | undefined;

  let ended = false;

  const readUnread = async (): Promise<State> => {
    throwIfAborted(signal);
    if (prompt.length > 0) return read(model, [prompt], { state, signal, onPrompt: options.onPrompt });
    return unread === undefined ? state : readTokens(model, [unread], state, spare);
  };

  /** Reads what has not been read, so that the state has the next logits. */
  const settle = async (): Promise<Float32Array> => {
    const next = await readUnread();
    prompt = [];
    unread = undefined;
    if (next !== state) {
      spare = owned ? retire(model, state) : undefined;
      state = next;
      owned = true;
    }
    return state.logits!;
  };
  let settling: Promise<Float32Array> | undefined;
  const settled = (): Promise<Float32Array> => {
    settling ??= settle().finally(() => {
      settling = undefined;
    });
    return settling;
  };

  const pieces = async function* (): AsyncGenerator<Piece, undefined> {
    let failed = false;
    try {
      for (let made = 0; made < sequence.maxNewTokens; made++) {
        const piece = sequence.choose(await settled());
        unread = piece.token;
        yield piece;
        if (piece.finish) break;
      }
    } catch (error) {
      // The state from before the failure can still be asked for.
      failed = true;
      throw error;
    } finally {
      ended = !failed;
      if (owned && ended) disposeState(state);
    }
  };

  return Object.assign(pieces(), {
    async snapshot() {
      if (ended) {
        throw new LongConvError("bad-input", "the generation has ended", {}, "Take a snapshot with its last piece.");
      }
      await settled();
      owned = false;
      return state;
    },
  });
}
