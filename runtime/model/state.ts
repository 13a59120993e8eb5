/** The state of a sequence (or of a batch of them) as a value: made by a step, never changed, used as often as wanted. */

import { checkArguments } from "../../src/checks.ts";
import { ATTENTION_MASK } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { copyRow, dataOf, zeros } from "../sessions/numeric.ts";
import type { Tensor } from "../sessions/ort.ts";
import { type Model, refuseOther, type State } from "./model.ts";

/**
 * A new state from rows of others: `gatherRows(model, [{ state: a, row: 1 }, { state: b, row: 0 }])` is row 1 of a above
 * row 0 of b. Values are copied through the CPU: it is for rows that join and leave a batch, not for every step.
 * @throws LongConvError state-mismatch, bad-input for a row that a state does not have, and for no rows
 */
export async function gatherRows(
  model: Model,
  rows: readonly { readonly state: State; readonly row: number }[],
): Promise<State> {
  checkArguments({ model: ["loaded", model], rows: ["list", rows] });
  if (rows.length === 0) throw new LongConvError("bad-input", "a state has at least one row, none were given");
  for (const each of rows) {
    checkArguments({ "each of the rows": ["options", each] });
    const { state, row } = each;
    refuseOther(model, state);
    if (!(Number.isInteger(row) && row >= 0 && row < state.batchSize)) {
      throw new LongConvError("bad-input", `a state of ${state.batchSize} rows has no row ${row}`);
    }
  }
  const grown = grownRows(model, rows);
  const tensors = await Promise.all(
    model.states.map(async ({ type, size, dims, grows }, index) => {
      if (grows !== undefined) return gatherGrown(model, rows, index, grown!);
      const data = zeros(type, size * rows.length);
      for (const [to, { state, row }] of rows.entries()) {
        const from = await dataOf(state.tensors[index]!);
        copyRow(data, to, from, row, size);
      }
      return new model.backend.Tensor(type, data, [rows.length, ...dims]);
    }),
  );
  const positions = rows.map(({ state, row }) => state.positions[row]!);
  const base = {
    ...{ session: model.session, batchSize: rows.length, positions, tensors },
    ...(grown && { columns: grown.columns }),
  };
  const vocabulary = model.language?.vocabulary ?? 0;
  if (vocabulary === 0 || !rows.every(({ state }) => state.logits)) return base;
  const logits = new Float32Array(vocabulary * rows.length);
  for (const [to, { state, row }] of rows.entries())
    copyRow(logits, to, state.logits as Float32Array<ArrayBuffer>, row, vocabulary);
  return { ...base, logits };
}

type Chosen = readonly { readonly state: State; readonly row: number }[];

/** How long the states that grow are for some rows: padding in front of the shorter ones, and none in front of all. */
interface Grown {
  readonly length: number;
  /** Of each row, how many of its own last rows are taken. */
  readonly taken: readonly number[];
  readonly columns: Uint8Array;
}

function grownRows(model: Model, rows: Chosen): Grown | undefined {
  if (!model.states.some(({ grows }) => grows !== undefined)) return undefined;
  const own = rows.map(({ state, row }) => {
    const length = (state.columns?.length ?? 0) / state.batchSize;
    return state.columns?.subarray(row * length, (row + 1) * length) ?? new Uint8Array(0);
  });
  const taken = own.map((columns) => (columns.includes(1) ? columns.length - columns.indexOf(1) : 0));
  const length = Math.max(...taken);
  if (!model.inputs.some(({ name }) => name === ATTENTION_MASK) && taken.some((each) => each !== length))
    throw new LongConvError(
      "bad-input",
      "rows that have read different numbers of positions cannot be put together: the model takes no attention_mask that would hide padding",
      { file: model.file },
    );
  const columns = new Uint8Array(rows.length * length);
  for (const [i, each] of own.entries())
    columns.set(each.subarray(each.length - taken[i]!), (i + 1) * length - taken[i]!);
  return { length, taken, columns };
}

/** Rows of a state that grows, those of the shorter ones behind zeros. */
async function gatherGrown(model: Model, rows: Chosen, index: number, { length, taken }: Grown): Promise<Tensor> {
  const { type, dims, grows } = model.states[index]!;
  const outer = dims.slice(0, grows).reduce((product, dim) => product * dim, 1);
  const inner = dims.slice(grows! + 1).reduce((product, dim) => product * dim, 1);
  const data = zeros(type, rows.length * outer * length * inner);
  for (const [to, { state, row }] of rows.entries()) {
    const tensor = state.tensors[index]!;
    const from = await dataOf(tensor);
    const own = tensor.dims[1 + grows!]!;
    const count = taken[to]! * inner;
    for (let o = 0; o < outer; o++) {
      const source = ((row * outer + o) * own + own - taken[to]!) * inner;
      const target = ((to * outer + o) * length + length - taken[to]!) * inner;
      (data as Float32Array).set((from as Float32Array).subarray(source, source + count), target);
    }
  }
  return new model.backend.Tensor(type, data, [rows.length, ...dims.with(grows!, length)]);
}

/** The rows of a state with these indices, in this order; a row may occur more than once. */
export async function sliceState(model: Model, state: State, rows: readonly number[]): Promise<State> {
  checkArguments({ model: ["loaded", model], state: ["state", state], rows: ["list", rows] });
  return gatherRows(
    model,
    rows.map((row) => ({ state, row })),
  );
}

/** The rows of several states, one below the other. */
export async function concatStates(model: Model, states: readonly State[]): Promise<State> {
  checkArguments({ model: ["loaded", model], states: ["list", states] });
  for (const state of states) checkArguments({ "each of the states": ["state", state] });
  return gatherRows(
    model,
    states.flatMap((state) => Array.from({ length: state.batchSize }, (_, row) => ({ state, row }))),
  );
}

/** Frees the tensors of a state. On a GPU, do it once when nothing needs the state any more; on the CPU it is optional. */
export function disposeState(state: State): void {
  checkArguments({ state: ["state", state] });
  for (const tensor of state.tensors) tensor.dispose();
}
