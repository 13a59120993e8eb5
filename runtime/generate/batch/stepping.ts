/** The rows that run together: each step, every row chooses its token and all read theirs in one run. */

import type { Model, State } from "../../model/model.ts";
import { readTokens, retire } from "../../model/read.ts";
import { concatStates, disposeState, sliceState } from "../../model/state.ts";
import { languageOf } from "../../model/tokens.ts";
import type { Piece } from "../options.ts";
import type { Admitted } from "./admission.ts";
import { endRow, isGone, type Row } from "./row.ts";

/** A row that was taken out because its consumer does not keep up, with its state. */
export interface Paused {
  readonly row: Row;
  readonly state: State;
}

export interface Stepping {
  readonly rows: readonly Row[];
  /** Rows that have not ended. */
  readonly size: number;
  /** Nobody is here, or everybody waits for a consumer. */
  readonly idle: boolean;
  /** Puts rows below the others. */
  join(admitted: Admitted): Promise<void>;
  /**
   * Takes out the rows that have ended, and those whose consumers do not keep up where somebody else can go on
   * meanwhile.
   * @param othersWait for the room that rows take here
   * @returns the latter
   */
  pause(othersWait: boolean): Promise<Paused[]>;
  /** Every row makes a token; nothing, where all of them wait. */
  step(): Promise<void>;
  /** Ends all of them. */
  clear(error?: unknown): void;
}

/** The last piece of a row, before it has its state. */
interface Last {
  readonly index: number;
  readonly row: Row;
  readonly piece: Piece;
}

export function createStepping(model: Model): Stepping {
  let rows: readonly Row[] = [];
  let state: State | undefined;
  /** The state is this batch's own, not one that a caller gave. */
  let owned = false;
  let spare: State | undefined;

  const replace = (newRows: readonly Row[], newState: State | undefined, isOwned = true): void => {
    if (state && state !== newState && owned) disposeState(state);
    rows = newRows;
    state = newState;
    owned = isOwned;
    spare = undefined;
  };

  /** Only the rows with these indices stay. */
  const keep = async (indices: readonly number[]): Promise<void> => {
    if (indices.length === 0) replace([], undefined);
    else if (indices.length < rows.length) {
      const all = rows;
      const rest = await sliceState(model, state!, indices);
      replace(
        indices.map((index) => all[index]!),
        rest,
      );
    }
  };

  /** The rows choose their tokens. @returns those that go on, with their tokens; those that end and are owed a state */
  const choose = (logits: Float32Array): { kept: number[]; tokens: number[]; last: Last[] } => {
    const { vocabulary } = languageOf(model);
    const last: Last[] = [];
    const [kept, tokens]: [number[], number[]] = [[], []];
    for (const [index, row] of rows.entries()) {
      try {
        const piece = row.sequence.choose(logits.subarray(index * vocabulary, (index + 1) * vocabulary));
        row.made.push(piece.token);
        const said = row.usage ? { ...piece, prompt: row.usage } : piece;
        row.usage = undefined;
        if (piece.finish && row.options.returnState) {
          last.push({ index, row, piece: said });
          continue;
        }
        row.sink.push(said);
        if (piece.finish) endRow(row);
        else {
          kept.push(index);
          tokens.push(piece.token);
        }
      } catch (error) {
        endRow(row, error);
      }
    }
    return { kept, tokens, last };
  };

  /** A text that has ended is the beginning of what is said next. */
  const remember = async ({ options, sequence, made }: Row, index: number): Promise<void> => {
    if (!options.cache || options.signal?.aborted) return;
    const ids = [...sequence.ids, ...made].slice(0, state!.positions[index]);
    await options.cache.keep(ids, await sliceState(model, state!, [index]));
  };

  return {
    get rows() {
      return rows;
    },
    get size() {
      return rows.filter((row) => !row.over).length;
    },
    get idle() {
      return rows.every((row) => row.sink.full);
    },
    async join({ rows: joined, state: added, owned: isOwned }) {
      if (!state) return replace(joined, added, isOwned);
      try {
        replace([...rows, ...joined], await concatStates(model, [state, added]));
      } catch (error) {
        for (const row of joined) endRow(row, error);
        throw error;
      } finally {
        if (isOwned) disposeState(added);
      }
    },
    async pause(othersWait) {
      if (!state) return [];
      const here = [...rows.keys()].filter((index) => !isGone(rows[index]!));
      const full = here.filter((index) => rows[index]!.sink.full);
      const out = full.length < here.length || othersWait ? full : [];
      const paused: Paused[] = [];
      for (const index of out) paused.push({ row: rows[index]!, state: await sliceState(model, state, [index]) });
      await keep(here.filter((index) => !out.includes(index)));
      return paused;
    },
    async step() {
      if (!state || rows.every((row) => row.sink.full)) return;
      const here = rows;
      const { kept, tokens, last } = choose(state.logits!);
      for (const { index, row, piece } of last) {
        row.sink.push({ ...piece, state: await sliceState(model, state, [index]) });
        endRow(row);
      }
      for (const [index, row] of here.entries()) if (row.over && row.made.length > 1) await remember(row, index);
      await keep(kept);
      if (!state) return;
      // Each row ends at its own reach, and how many there may be was checked when the batch was made.
      const next = await readTokens(model, tokens, state, { overwrite: spare, beyond: true });
      spare = owned ? retire(model, state) : undefined;
      owned = true;
      state = next;
    },
    clear(error) {
      for (const row of rows) endRow(row, error);
      replace([], undefined);
    },
  };
}
