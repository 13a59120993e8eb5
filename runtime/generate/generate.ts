/** Text from one prompt, token by token. */

import type { Model, State } from "../model/model.ts";
import { createCursor } from "./cursor.ts";
import type { GenerateOptions, Piece, Pieces } from "./options.ts";
import { throwIfAborted } from "./read.ts";
import { createSequence } from "./sequence.ts";

/** A running generation: iterate over it for its pieces. */
export interface Generation extends Pieces {
  /**
   * The state after everything read and emitted so far, with the logits of the next token: a value that stays as it is
   * while the generation goes on. Ask between pieces, or in the loop's body with the last one; or after an error or an
   * abort, to go on from there: the state from before it is kept, on the CPU, unless it went with a lost device.
   * @throws LongConvError bad-input where the generation has ended; what reading throws, also aborted in a prompt
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
 * Leaving the loop ends the generation. Where it runs on a GPU, its state is freed then, and
 * after an error, unless it was taken by `snapshot()`.
 * At the end of what the model claims, or has, the last piece says so (`reach`, `positions`).
 * @throws LongConvError bad-input, token-out-of-range, state-mismatch at once, and beyond-claim, beyond-positions where the
 *   prompt leaves no room for a token; aborted, runtime-failed while iterating
 */
export function generate(model: Model, options: GenerateOptions): Generation {
  const sequence = createSequence(model, options);
  const cursor = createCursor(model, sequence.ids, options);

  const pieces = async function* (): AsyncGenerator<Piece, undefined> {
    let failed = false;
    try {
      for (let made = 0; made < sequence.maxNewTokens; made++) {
        throwIfAborted(options.signal);
        const logits = await cursor.logits();
        // Aborted while the model ran: no token more.
        throwIfAborted(options.signal);
        const piece = sequence.choose(logits);
        cursor.push(piece.token);
        yield piece;
        if (piece.finish) break;
      }
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      await (failed ? cursor.keep() : cursor.end());
    }
  };
  return Object.assign(pieces(), { snapshot: cursor.snapshot });
}
