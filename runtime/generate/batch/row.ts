/** A sequence of a batch, and when it has ended. */

import { throwIfAborted } from "../../model/read.ts";
import type { GenerateOptions, Piece } from "../options.ts";
import type { PromptUsage } from "../prefill.ts";
import type { Sequence } from "../sequence.ts";

/** Where a row's pieces go. */
export interface Sink {
  push(piece: Piece): void;
  end(): void;
  fail(error: unknown): void;
  /** So many pieces have not been taken that the row waits. */
  readonly full: boolean;
}

export interface Row {
  readonly sequence: Sequence;
  readonly options: GenerateOptions;
  readonly sink: Sink;
  /** Tokens that it has made. */
  readonly made: number[];
  /** What its prompt took, until its first piece says so; where it has a cache. */
  usage: PromptUsage | undefined;
  /** The consumer has left. */
  left: boolean;
  /** Its sink has been told the end. */
  over: boolean;
}

/** Tells the row's sink the end, once. */
export function endRow(row: Row, error?: unknown): void {
  if (row.over) return;
  row.over = true;
  if (error === undefined) row.sink.end();
  else row.sink.fail(error);
}

/** Whether a row has ended: its consumer has left, or has aborted it (then it is told). */
export function isGone(row: Row): boolean {
  if (row.left) endRow(row);
  else {
    try {
      throwIfAborted(row.options.signal);
    } catch (error) {
      endRow(row, error);
    }
  }
  return row.over;
}
