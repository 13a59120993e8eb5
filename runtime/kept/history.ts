/** The states that a sequence has gone through, few of those long ago: from which any earlier place is soon reached again. */
import { checkCount } from "../../src/checks.ts";
import type { Model, State } from "../model/model.ts";
import { cutRows, rowsOf } from "../model/rows.ts";
import { sliceState } from "../model/state.ts";
import { cpuData, zeros } from "../sessions/numeric.ts";
import type { Tensor } from "../sessions/ort.ts";

export interface HistoryOptions {
  /** States at most. Default 256. */
  readonly states?: number;
  /** Bytes of them at most. Default 64 MiB. Rows of keys and values are not counted: they are those of the last state. */
  readonly maxBytes?: number;
}

/** A state, without what grows: that is in every later one. */
interface Checkpoint {
  readonly at: number;
  readonly state: State;
  readonly bytes: number;
}

export interface History {
  /**
   * The state after so many tokens, which nobody may write over from here on where the result is true.
   * @param at more than that of any state here
   */
  add(at: number, state: State): Promise<boolean>;
  /** The last state of at most so many tokens; undefined: the one that the sequence began with. */
  before(at: number): { readonly at: number; readonly state: State } | undefined;
  /** A history of its own that goes on from there. */
  until(at: number): History;
  readonly size: { readonly states: number; readonly bytes: number };
}

/** Between two states of a device, which are copied to the CPU. */
const TOKENS_BETWEEN_COPIES = 16;

/** @throws LongConvError bad-input for an option out of its range */
export function createHistory(model: Model, options: HistoryOptions = {}): History {
  const { states = 256, maxBytes = 2 ** 26 } = options;
  checkCount("history.states", states, 1);
  checkCount("history.maxBytes", maxBytes, 0);
  return from(model, { states, maxBytes }, [], undefined);
}

function from(
  model: Model,
  limits: Required<HistoryOptions>,
  begun: readonly Checkpoint[],
  /** The last state: the rows of every checkpoint are its first. */
  tail: State | undefined,
): History {
  let kept = [...begun];
  let rows = tail;
  const onCpu = model.backend.writesIntoFetches;
  const grows = model.states.some((state) => state.grows !== undefined);
  const total = () => kept.reduce((sum, { bytes }) => sum + bytes, 0);

  return {
    async add(at, given) {
      if (!onCpu && at - (kept.at(-1)?.at ?? Number.NEGATIVE_INFINITY) < TOKENS_BETWEEN_COPIES) return false;
      const state = onCpu ? given : await sliceState(model, given, [0]);
      if (grows) rows = state;
      kept.push(checkpoint(model, at, state));
      let bytes = total();
      while (kept.length > 0 && (kept.length > limits.states || bytes > limits.maxBytes)) {
        const out = leastMissed(kept);
        bytes -= kept[out]!.bytes;
        kept = kept.toSpliced(out, 1);
      }
      return onCpu;
    },
    before(at) {
      const found = kept.findLast((each) => each.at <= at);
      return found && { at: found.at, state: grows ? withRows(model, found.state, rows!) : found.state };
    },
    until: (at) =>
      from(
        model,
        limits,
        kept.filter((each) => each.at <= at),
        rows,
      ),
    get size() {
      return { states: kept.length, bytes: total() };
    },
  };
}

/** The state without its rows. */
function checkpoint(model: Model, at: number, state: State): Checkpoint {
  const fixed = state.tensors.filter((_, index) => model.states[index]!.grows === undefined);
  const bytes = fixed.reduce((sum, tensor) => sum + cpuData(tensor).byteLength, state.logits?.byteLength ?? 0);
  if (fixed.length === state.tensors.length) return { at, state, bytes };
  const tensors = state.tensors.map((tensor, index) =>
    model.states[index]!.grows === undefined ? tensor : none(model, index),
  );
  return { at, state: { ...state, tensors }, bytes };
}

const none = (model: Model, index: number): Tensor => {
  const { type, dims } = model.states[index]!;
  return new model.backend.Tensor(type, zeros(type, 0), [1, ...dims]);
};

/** The state with its rows, the first of a later one's. */
function withRows(model: Model, state: State, later: State): State {
  const count = rowsOf(state);
  const tensors = state.tensors.map((tensor, index) =>
    model.states[index]!.grows === undefined ? tensor : cutRows(model, index, later.tensors[index]!, 0, count),
  );
  return { ...state, tensors };
}

/**
 * Which state is missed least: whoever goes back to a place reads from there to the end again at the least, so that the
 * gap before it may be as long as that. The last one stays.
 */
function leastMissed(kept: readonly Checkpoint[]): number {
  const end = kept.at(-1)!.at;
  let least = Number.POSITIVE_INFINITY;
  let at = 0;
  for (let index = 0; index < kept.length - 1; index++) {
    const gap = kept[index + 1]!.at - (kept[index - 1]?.at ?? 0);
    const missed = gap / (end - kept[index]!.at);
    if (missed < least) [least, at] = [missed, index];
  }
  return at;
}

/** Nearest to the end of a prompt, which is edited most: the first of the states that are kept of it. */
const NEAREST = 8;

/** After how many tokens of a prompt states are kept: the fewer, the longer ago. */
export function stopsIn(tokens: number): number[] {
  const stops: number[] = [];
  for (let back = NEAREST; back < tokens; back *= 2) stops.unshift(tokens - back);
  return stops;
}
