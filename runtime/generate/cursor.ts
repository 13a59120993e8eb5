/** What a generation has read: its state, what is still to be read, and who holds the state. */
import { LongConvError } from "../../src/errors.ts";
import type { Model, State } from "../model/model.ts";
import { disposeState, sliceState } from "../model/state.ts";
import { zeroState } from "../model/step.ts";
import type { GenerateOptions } from "./options.ts";
import { type Ids, read, readTokens, retire } from "./read.ts";

export interface Cursor {
  /** Reads what has not been read. @returns the logits of the next token */
  logits(): Promise<Float32Array>;
  /** The token that was chosen, to be read next. */
  push(token: number): void;
  /** The state after everything pushed, which the cursor then leaves as it is. */
  snapshot(): Promise<State>;
  /** Gives up the state, when the snapshots asked for are taken. */
  end(): Promise<void>;
  /** After an error: keeps the state from before it, on the CPU, where nobody has to free it. */
  keep(): Promise<void>;
}

export function createCursor(
  model: Model,
  prompt: Ids,
  { state: start, signal, onPrompt, beyond }: Pick<GenerateOptions, "state" | "signal" | "onPrompt" | "beyond">,
): Cursor {
  let state = start ?? zeroState(model);
  // What may be written over: a state that only this generation holds, and that has been read from.
  let owned = start === undefined;
  let spare: State | undefined;
  let unread: Ids = prompt;
  let inPrompt = true;
  let ended = false;

  const settle = async (): Promise<void> => {
    if (unread.length === 0) return;
    const next = inPrompt
      ? await read(model, [unread], { state, signal, onPrompt, beyond })
      : await readTokens(model, unread, state, { overwrite: spare, beyond });
    spare = owned ? retire(model, state) : undefined;
    unread = [];
    state = next;
    owned = true;
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
    if (owned) disposeState(state);
    owned = false;
    spare = undefined;
    // A generation may be kept for longer than the states that it has given away.
    state = { session: model.session, batchSize: 0, positions: [], tensors: [] };
  };

  return {
    async logits() {
      await settled();
      return state.logits!;
    },
    push(token) {
      unread = [token];
      inPrompt = false;
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
