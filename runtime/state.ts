/** The state of a sequence (or of a batch of them) as a value: made by a step, never changed, used as often as wanted. */

import { LongConvError } from "../src/errors.ts";
import { type Model, refuseOther, type State } from "./model.ts";
import { copyRow, dataOf, zeros } from "./numeric.ts";

/**
 * A new state from rows of others: `gatherRows(model, [{ state: a, row: 1 }, { state: b, row: 0 }])` is row 1 of a above
 * row 0 of b. Values are copied through the CPU: it is for rows that join and leave a batch, not for every step.
 * @throws LongConvError state-mismatch, bad-input for a row that a state does not have, and for no rows
 */
export async function gatherRows(
  model: Model,
  rows: readonly { readonly state: State; readonly row: number }[],
): Promise<State> {
  if (rows.length === 0) throw new LongConvError("bad-input", "a state has at least one row, none were given");
  for (const { state, row } of rows) {
    refuseOther(model, state);
    if (!(Number.isInteger(row) && row >= 0 && row < state.batchSize)) {
      throw new LongConvError("bad-input", `a state of ${state.batchSize} rows has no row ${row}`);
    }
  }
  const tensors = await Promise.all(
    model.states.map(async ({ type, size, dims }, index) => {
      const data = zeros(type, size * rows.length);
      for (const [to, { state, row }] of rows.entries()) {
        const from = await dataOf(state.tensors[index]!);
        copyRow(data, to, from, row, size);
      }
      return new model.backend.Tensor(type, data, [rows.length, ...dims]);
    }),
  );
  const positions = rows.map(({ state, row }) => state.positions[row]!);
  const base = { session: model.session, batchSize: rows.length, positions, tensors };
  const vocabulary = model.language?.vocabulary ?? 0;
  if (vocabulary === 0 || !rows.every(({ state }) => state.logits)) return base;
  const logits = new Float32Array(vocabulary * rows.length);
  for (const [to, { state, row }] of rows.entries())
    copyRow(logits, to, state.logits as Float32Array<ArrayBuffer>, row, vocabulary);
  return { ...base, logits };
}

/** The rows of a state with these indices, in this order; a row may occur more than once. */
export function sliceState(model: Model, state: State, rows: readonly number[]): Promise<State> {
  return gatherRows(
    model,
    rows.map((row) => ({ state, row })),
  );
}

/** The rows of several states, one below the other. */
export function concatStates(model: Model, states: readonly State[]): Promise<State> {
  return gatherRows(
    model,
    states.flatMap((state) => Array.from({ length: state.batchSize }, (_, row) => ({ state, row }))),
  );
}

/** Frees the tensors of a state. On a GPU, do it once when nothing needs the state any more; on the CPU it is optional. */
export function disposeState(state: State): void {
  for (const tensor of state.tensors) tensor.dispose();
}
