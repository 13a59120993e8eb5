/** One step of a model: state in, state out. */

import { checkArguments, notValid } from "../../src/checks.ts";
import { ATTENTION_MASK, SEQUENCE_LENGTH } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { named } from "../../src/unforeseen.ts";
import { filled, zeros } from "../sessions/numeric.ts";
import type { InferenceSession, Tensor } from "../sessions/ort.ts";
import { checkReach } from "./limit.ts";
import { type Model, refuseOther, type State } from "./model.ts";

/** Of a state: more is a mistake, and would be taken before anything fails. */
const MOST_ROWS = 2 ** 20;
const MOST_BYTES = 16e9;

/** What a sequence starts from, zeros where the model was not loaded with others, for any batch size: [batch_size, …] as the model's own inputs say. */
export function zeroState(model: Model, batchSize = 1): State {
  checkArguments({ model: ["loaded", model] });
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw notValid("the batch size", "a positive integer", batchSize);
  }
  if (model.batchSize !== undefined && batchSize !== model.batchSize) {
    throw new LongConvError("bad-input", `the model takes a batch of ${model.batchSize}, got ${batchSize}`, {
      file: model.file,
    });
  }
  const bytes = model.states.reduce((sum, { type, size }) => sum + batchSize * size * zeros(type, 1).byteLength, 0);
  if (batchSize > MOST_ROWS || bytes > MOST_BYTES)
    throw new LongConvError(
      "bad-input",
      `a state of ${batchSize} rows takes ${(bytes / 1e9).toFixed(1)} GB; ${MOST_ROWS} rows and ${MOST_BYTES / 1e9} GB are the most`,
      { file: model.file },
    );
  const tensors = model.states.map(
    ({ type, size, dims, start = 0 }) =>
      new model.backend.Tensor(type, filled(type, size * batchSize, start), [batchSize, ...dims]),
  );
  return { session: model.session, batchSize, positions: new Array<number>(batchSize).fill(0), tensors };
}

export interface StepOptions {
  /** A state that nobody needs any more: its CPU tensors may be overwritten by the new state. Never the state passed in. */
  readonly overwrite?: State | undefined;
  /**
   * The outputs that are wanted, states aside: names, or tensors by name that they may be written into (null: a new
   * one). Default: all.
   */
  readonly outputs?: readonly string[] | Readonly<Record<string, Tensor | null>>;
  /**
   * Positions that the step reads, or one number for each row. Default: the size that the model's dimension
   * `sequence_length` has in the feeds (of `input_ids`, dimension 1); a model that does not name it needs this option.
   */
  readonly advance?: number | readonly number[];
  /** Go on past the model's claim (not past its positions): what comes then may be wrong. Default false. */
  readonly beyond?: boolean | undefined;
}

/**
 * One run of the model, from a state to the next: state in, state out, nothing changed in place. The state passed in
 * stays valid, so any number of steps can start from it.
 *
 *     const model = await load("filterbank.onnx");
 *     let state = zeroState(model);
 *     for (const sample of samples) {
 *       const signal = new model.backend.Tensor("float32", sample, [1, 1, sample.length]);
 *       const { outputs, state: next } = await step(model, { signal }, state);
 *       console.log(outputs.features.data);
 *       state = next;
 *     }
 *
 * @param feeds every input of the model that is not a state, by name, with as many rows as the state
 * @returns the outputs that are not states, by name, and the next state
 * @throws LongConvError bad-input, state-mismatch, runtime-failed; beyond-claim, beyond-positions before anything is run,
 *   for positions and rows that the model does not claim or have
 */
export async function step(
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  state: State,
  options: StepOptions = {},
): Promise<{ outputs: Record<string, Tensor>; state: State }> {
  return named(model?.file, async () => {
    checkArguments({
      model: ["loaded", model],
      feeds: ["options", feeds],
      state: ["state", state],
      options: ["options", options],
    });
    refuseOther(model, state);
    const all: Record<string, Tensor> = {};
    for (const { name, batchAxis } of model.inputs) {
      const tensor = feeds[name];
      if (!tensor) {
        const remedy = `The model's inputs are ${model.inputs.map((input) => input.name).join(", ")}.`;
        throw new LongConvError(
          "bad-input",
          `no value for input '${name}'`,
          { file: model.file, tensor: name },
          remedy,
        );
      }
      if (batchAxis !== undefined && tensor.dims[batchAxis] !== state.batchSize) {
        const reason = `the input has ${tensor.dims[batchAxis]} rows, the state ${state.batchSize}`;
        throw new LongConvError("bad-input", reason, { file: model.file, tensor: name }, ROWS);
      }
      all[name] = tensor;
    }
    for (const { past, type, dims } of model.empties)
      all[past] = new model.backend.Tensor(type, zeros(type, 0), [state.batchSize, ...dims]);
    const advance = advanceOf(model, feeds, state, options.advance);
    const positions = state.positions.map((at, row) => at + advance[row]!);
    checkReach(model, positions, options.beyond);
    const columns = columnsAfter(model, all, state);
    if (columns && all[ATTENTION_MASK]) all[ATTENTION_MASK] = maskOf(model, columns, state.batchSize);
    const fetches: Record<string, Tensor | null> = {};
    const { writesIntoFetches } = model.backend;
    const asked = options.outputs ?? model.outputs.map((output) => output.name);
    const wanted = isList(asked) ? Object.fromEntries(asked.map((name) => [name, null])) : asked;
    for (const [name, tensor] of Object.entries(wanted)) fetches[name] = writesIntoFetches ? tensor : null;
    const reusable = writesIntoFetches && options.overwrite?.batchSize === state.batchSize;
    model.states.forEach(({ past, present, size }, index) => {
      all[past] = state.tensors[index]!;
      const old = reusable && size > 0 ? options.overwrite!.tensors[index]! : null;
      fetches[present] = old;
    });
    let results: InferenceSession.ReturnType;
    try {
      results = await model.run(all, fetches);
    } catch (error) {
      // how a process of its own ended has its name already
      if (error instanceof LongConvError) throw error;
      throw new LongConvError("runtime-failed", firstLine(error), { file: model.file }, undefined, error);
    }
    const outputs: Record<string, Tensor> = {};
    for (const name of Object.keys(wanted)) outputs[name] = fetches[name] ?? results[name]!;
    const tensors = model.states.map(({ present }) => fetches[present] ?? results[present]!);
    const widened = tensors.find(({ dims }) => dims[0] !== state.batchSize);
    if (widened) {
      if (!writesIntoFetches) for (const tensor of Object.values(results)) tensor.dispose();
      const reason = `the run made ${widened.dims[0]} rows of a state of ${state.batchSize}`;
      throw new LongConvError("bad-input", reason, { file: model.file }, ROWS);
    }
    const next = { session: state.session, batchSize: state.batchSize, positions, tensors };
    return { outputs, state: columns ? { ...next, columns } : next };
  });
}

/**
 * Which rows of the states that grow are of tokens, after a step; undefined where none grows. The mask that is fed speaks of the new
 * positions, or of all of them.
 */
function columnsAfter(model: Model, feeds: Readonly<Record<string, Tensor>>, state: State): Uint8Array | undefined {
  if (!model.states.some(({ grows }) => grows !== undefined)) return undefined;
  const { batchSize } = state;
  const before = state.columns ?? new Uint8Array(0);
  const past = before.length / batchSize;
  const timed = model.inputs.find(({ timeAxis }) => timeAxis !== undefined);
  const added = timed ? feeds[timed.name]!.dims[timed.timeAxis!]! : 1;
  const total = past + added;
  const given = feeds[ATTENTION_MASK];
  const width = given?.dims[1] ?? 0;
  const shown = given && (given.data as BigInt64Array);
  const columns = new Uint8Array(batchSize * total);
  for (let row = 0; row < batchSize; row++) {
    columns.set(before.subarray(row * past, (row + 1) * past), row * total);
    for (let i = 0; i < added; i++) {
      const at = row * width + width - added + i;
      columns[row * total + past + i] = shown && width >= added ? Number(shown[at]) : 1;
    }
  }
  return columns;
}

const maskOf = (model: Model, columns: Uint8Array, batchSize: number): Tensor =>
  new model.backend.Tensor("int64", BigInt64Array.from(columns, BigInt), [batchSize, columns.length / batchSize]);

const ROWS = "Every input needs as many rows as the state: zeroState(model, rows) makes one.";

/** Positions that the step reads, a number for each row. */
function advanceOf(
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  { batchSize }: State,
  given: StepOptions["advance"],
): readonly number[] {
  const timed = model.inputs.find(({ timeAxis }) => timeAxis !== undefined);
  const advance = given ?? (timed && feeds[timed.name]!.dims[timed.timeAxis!]);
  if (advance === undefined) {
    const reason = `no input has a dimension '${SEQUENCE_LENGTH}' to count the positions by`;
    throw new LongConvError("bad-input", reason, { file: model.file }, "Give the option `advance`.");
  }
  const rows = typeof advance === "number" ? new Array<number>(batchSize).fill(advance) : advance;
  if (Array.isArray(rows) && rows.length === batchSize && rows.every((by) => Number.isInteger(by) && by >= 0))
    return rows;
  const reason = `advance must be a number of positions, or one for each of ${batchSize} rows, got ${String(advance)}`;
  throw new LongConvError("bad-input", reason, { file: model.file });
}

const isList = (value: object): value is readonly string[] => Array.isArray(value);

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
