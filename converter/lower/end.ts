/** The state after the last token of a chunk: what was carried over its tokens, and what they add. */
import type { Builder } from "../graph/build.ts";
import { type Duo, gatherMatrix } from "./modes.ts";

/** A chunk that may not be full. */
export interface LastChunk {
  /** Tokens that it has room for. */
  readonly chunk: number;
  /** int64 [1]: how many of them are missing. */
  readonly missing: string;
  /** Its inputs, [batch, chunk, channels]; nothing that is kept reads those behind the last. */
  readonly inputs: string;
}

/** Adds the present state. @param carried what was there before the chunk, turned by its tokens, [batch, 2 duos, channels] */
export function endState(
  b: Builder,
  duos: readonly Duo[],
  order: number,
  carried: string,
  { chunk, missing, inputs }: LastChunk,
  present: string,
): void {
  const width = 2 * duos.length;
  // λ^(r-1-k) is λ^(c-1-m) at m = k + c - r, and zero from m = c on
  const shifted = b.one("Slice", [
    b.floats("gather_shifted", [width, 2 * chunk], gatherMatrix(duos, chunk, 2 * chunk)),
    missing,
    b.one("Add", [missing, b.ints("chunk", [chunk])]),
    b.ints("columns", [1]),
  ]);
  const added = b.one("MatMul", [shifted, inputs]);
  addPresent(b, order, width, carried, added, present);
}

/** The sum of two states of an even number of rows, and without the last where the order is odd. */
export function addPresent(
  b: Builder,
  order: number,
  width: number,
  carried: string,
  added: string,
  present: string,
): void {
  if (order === width) {
    b.add("Add", [carried, added], undefined, { outputs: [present] });
    return;
  }
  const end = b.one("Add", [carried, added]);
  b.add("Slice", [end, b.ints("start", [0]), b.ints("order", [order]), b.ints("rows", [1])], undefined, {
    outputs: [present],
  });
}
