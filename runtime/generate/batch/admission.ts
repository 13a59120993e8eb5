/** How rows come into a batch: they wait for room, and their prompts are read slice by slice, several rows at once. */

import type { Model, State } from "../../model/model.ts";
import { readSlices } from "../../model/read.ts";
import { disposeState } from "../../model/state.ts";
import { prefill } from "../prefill.ts";
import { endRow, isGone, type Row } from "./row.ts";

/** Rows that have read what they begin with. */
export interface Admitted {
  readonly rows: readonly Row[];
  /** A row of it for each of them, with the logits of their next tokens. */
  readonly state: State;
  /** Nobody else holds the state. */
  readonly owned: boolean;
}

interface Entry {
  readonly row: Row;
  /** For a row that was in the batch before: its state. */
  readonly paused?: State;
}

export interface Admission {
  /** Those that wait or whose prompts are being read. */
  readonly rows: readonly Row[];
  /** Some of them need not wait for their consumers. */
  readonly canGoOn: boolean;
  /** Puts a row last in the line. */
  add(row: Row): void;
  /** Puts a row first in the line that has been in the batch: its state, which is nobody else's. */
  resume(row: Row, state: State): void;
  /**
   * Reads one slice of the prompts of the next rows, as many rows as there is room for.
   * @returns those rows, when it was the last slice
   */
  next(room: number): Promise<Admitted | undefined>;
  /** Ends all of them. */
  clear(error?: unknown): Promise<void>;
}

type Read = Omit<Admitted, "rows">;

export function createAdmission(model: Model): Admission {
  let waiting: Entry[] = [];
  let reading: { readonly rows: readonly Row[]; readonly slices: AsyncGenerator<void, Read> } | undefined;

  const rowsHere = () => [...(reading?.rows ?? []), ...waiting.map(({ row }) => row)];

  const drop = ({ row, paused }: Entry, error?: unknown) => {
    endRow(row, error);
    if (paused) disposeState(paused);
  };

  const start = (room: number): Admitted | undefined => {
    for (const entry of waiting) if (isGone(entry.row)) drop(entry);
    waiting = waiting.filter(({ row }) => !row.over);
    const ready = waiting.filter(({ row }) => !row.sink.full);
    const group = nextGroup(model, ready, room);
    const [first] = group;
    if (!first) return undefined;
    waiting = waiting.filter((entry) => !group.includes(entry));
    const rows = group.map(({ row }) => row);
    if (first.paused) return { rows, state: first.paused, owned: true };
    const { sequence, options } = first.row;
    if (sequence.ids.length === 0) return { rows, state: options.state!, owned: false };
    reading = { rows, slices: options.cache ? cached(model, first.row) : together(model, rows) };
    return undefined;
  };

  return {
    get rows() {
      return rowsHere();
    },
    get canGoOn() {
      return rowsHere().some((row) => !row.sink.full);
    },
    add: (row) => void waiting.push({ row }),
    resume: (row, state) => void waiting.unshift({ row, paused: state }),
    async next(room) {
      const ready = reading ? undefined : start(room);
      if (ready || !reading) return ready;
      const { rows, slices } = reading;
      if (rows.every(isGone)) {
        reading = undefined;
        await slices.return(undefined as never);
        return undefined;
      }
      try {
        const { done, value } = await slices.next();
        if (!done) return undefined;
        reading = undefined;
        return { rows, ...value };
      } catch (error) {
        // Those that run already are not touched.
        for (const row of rows) endRow(row, error);
        reading = undefined;
        return undefined;
      }
    },
    async clear(error) {
      for (const entry of waiting) drop(entry, error);
      waiting = [];
      for (const row of reading?.rows ?? []) endRow(row, error);
      const slices = reading?.slices;
      reading = undefined;
      await slices?.return(undefined as never);
    },
  };
}

/** The prompts of rows, padded to the longest. */
async function* together(model: Model, rows: readonly Row[]): AsyncGenerator<void, Read> {
  const { state } = rows[0]!.options;
  const prompts = rows.map(({ sequence }) => sequence.ids);
  return { state: yield* readSlices(model, prompts, { state, onPrompt: progressOf(rows), beyond: true }), owned: true };
}

/** The prompt of a row that may begin as others did. */
async function* cached(model: Model, row: Row): AsyncGenerator<void, Read> {
  const { ids } = row.sequence;
  const { cache } = row.options;
  const read = yield* prefill(model, ids, { cache, onPrompt: progressOf([row]), beyond: true });
  row.usage = { tokens: ids.length, cachedTokens: read.cachedTokens };
  return read;
}

/** Tells each row how much of its own prompt has been read; a row whose callback throws ends. */
function progressOf(rows: readonly Row[]): (progress: { readonly tokens: number; readonly total: number }) => void {
  return ({ tokens, total }) => {
    for (const row of rows) {
      const own = row.sequence.ids.length;
      const read = tokens - (total - own);
      if (read <= 0 || row.over) continue;
      try {
        row.options.onPrompt?.({ tokens: read, total: own });
      } catch (error) {
        endRow(row, error);
      }
    }
  };
}

/**
 * Which waiting rows join together: the first, and, where they can be padded exactly (from nothing, with a mask), those
 * whose padding costs at most as much as their tokens.
 */
function nextGroup(model: Model, waiting: readonly Entry[], room: number): Entry[] {
  const first = waiting[0];
  if (!first || room < 1) return [];
  // One that may begin as others did is read alone: the next begins where they part.
  const startsFromNothing = ({ row, paused }: Entry) => !paused && !row.options.state && !row.options.cache;
  if (!startsFromNothing(first)) return [first];
  const group = [first];
  for (const entry of waiting.slice(1)) {
    if (group.length === room) break;
    if (!startsFromNothing(entry)) continue;
    const lengths = [...group, entry].map(({ row }) => row.sequence.ids.length);
    const padded = Math.max(...lengths) * lengths.length;
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (model.language?.hasMask ? padded <= 2 * total : padded === total) group.push(entry);
  }
  return group;
}
