/** A language model reads tokens: prompts in slices of bounded length, and single tokens, each row one. */

import { checkArguments, checkNumbers, notValid } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import { named } from "../../src/unforeseen.ts";
import { dataOf, toFloat32 } from "../sessions/numeric.ts";
import type { Tensor } from "../sessions/ort.ts";
import { checkReach } from "./limit.ts";
import { type Model, refuseOther, type State } from "./model.ts";
import { concatStates, disposeState, sliceState } from "./state.ts";
import { type StepOptions, step, zeroState } from "./step.ts";
import { checkIds, encodePrompt, feedsOf, type Ids, languageOf, tokenFeeds } from "./tokens.ts";

export interface ReadOptions {
  /** Read after this state (as many rows as prompts). It is not changed. Default: after nothing. */
  readonly state?: State | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPrompt?: ((progress: { readonly tokens: number; readonly total: number }) => void) | undefined;
  /** Go on past the model's claim (not past its positions): what comes then may be wrong. Default false. */
  readonly beyond?: boolean | undefined;
}

/**
 * Reads prompts of any lengths, one a row, and returns the state after them with the logits of the next token.
 * Prompts of unequal length are padded on the left where the model has an attention mask and they start from nothing
 * (which is exact: zeros leave a zero state at zero), else read one after the other.
 *
 *     const model = await load("model");
 *     const state = await read(model, ["In the beginning"]);
 *     for await (const { text } of generate(model, { state, seed: 1 })) process.stdout.write(text);
 *     for await (const { text } of generate(model, { state, seed: 2 })) process.stdout.write(text);
 *
 * @param given texts, which need the model's tokenizer and get its special tokens where they start a sequence, or ids
 * @throws LongConvError bad-input, token-out-of-range, state-mismatch, aborted, runtime-failed; beyond-claim,
 *   beyond-positions before anything is run
 */
export async function read(model: Model, given: readonly (string | Ids)[], options: ReadOptions = {}): Promise<State> {
  return named(model?.file, async () => {
    checkArguments({ model: ["loaded", model], options: ["options", options] });
    const language = languageOf(model);
    if (!Array.isArray(given)) throw notValid("the prompts", "an array of texts or of arrays of token ids", given);
    const addSpecialTokens = !options.state;
    const prompts = given.map(
      (prompt): Ids => (typeof prompt === "string" ? encodePrompt(model, prompt, addSpecialTokens) : prompt),
    );
    for (const [row, ids] of prompts.entries()) {
      checkNumbers(`prompt ${row}`, ids);
      checkIds(ids, language, model.file);
    }
    if (prompts.length === 0 || prompts.some((ids) => ids.length === 0)) {
      throw new LongConvError("bad-input", "a prompt has no tokens", { file: model.file }, "Give at least one token.");
    }
    if (options.state) checkRows(model, prompts, options.state);
    const unequal = prompts.some((ids) => ids.length !== prompts[0]!.length);
    const paddable = language.hasMask && !options.state;
    const ends = prompts.map((ids, row) => (options.state?.positions[row] ?? 0) + ids.length);
    for (const together of !unequal || paddable ? [ends] : ends.map((end) => [end]))
      checkReach(model, together, options.beyond);
    if (!unequal || paddable) return drain(readSlices(model, prompts, options));
    const states: State[] = [];
    for (const [row, ids] of prompts.entries()) {
      const state = options.state && (await sliceState(model, options.state, [row]));
      states.push(await drain(readSlices(model, [ids], { ...options, state })));
    }
    const all = await concatStates(model, states);
    states.forEach(disposeState);
    return all;
  });
}

function checkRows(model: Model, prompts: readonly Ids[], state: State): void {
  refuseOther(model, state);
  if (prompts.length === state.batchSize) return;
  throw new LongConvError(
    "bad-input",
    `a state of ${state.batchSize} rows cannot read ${prompts.length} prompts`,
    { file: model.file },
    "Give a prompt for each row, or take rows with sliceState(model, state, rows).",
  );
}

/**
 * {@link read} a slice at a time: yields after each slice, so that other work can go between, and returns the state.
 * Unequal prompts are padded; the caller sees to it that they may be.
 */
export async function* readSlices(
  model: Model,
  prompts: readonly Ids[],
  { state: start, signal, onPrompt, beyond }: ReadOptions,
): AsyncGenerator<void, State> {
  const length = Math.max(...prompts.map((ids) => ids.length));
  const slice = Math.max(1, Math.floor(model.sliceLength / prompts.length));
  let state = start ?? zeroState(model, prompts.length);
  let spare: State | undefined;
  let done = false;
  try {
    for (let from = 0; from < length; from += slice) {
      throwIfAborted(signal);
      const to = Math.min(from + slice, length);
      const next = await readColumns(model, prompts, length, from, to, state, { overwrite: spare, beyond });
      spare = state === start ? undefined : retire(model, state);
      state = next;
      onPrompt?.({ tokens: to, total: length });
      if (to < length) yield;
    }
    done = true;
    return state;
  } finally {
    if (!done && state !== start) disposeState(state);
  }
}

/** Of a run: a state whose buffers may be used for the result (see {@link retire}), and whether to go past the claim. */
type RunOptions = Pick<StepOptions, "overwrite" | "beyond">;

/**
 * One decode step: each row reads its token.
 * @returns the next state, with the logits of the token after it
 */
export async function readTokens(
  model: Model,
  tokens: Ids,
  state: State,
  { overwrite, beyond }: RunOptions = {},
): Promise<State> {
  const { logits: logitsName } = languageOf(model);
  const feeds = tokenFeeds(
    model,
    tokens.map((token) => [token]),
    1,
  );
  const logits = overwrite?.logits && logitsTensor(model, overwrite.logits, tokens.length);
  const wanted = { [logitsName]: logits ?? null };
  const options = { overwrite, beyond, outputs: wanted, advance: 1 };
  const { outputs, state: next } = await step(model, feeds, state, options);
  return { ...next, logits: await lastLogits(outputs[logitsName]!) };
}

/** Logits of one position as the tensor that the next may be written into; undefined where they have another type or size. */
function logitsTensor(model: Model, logits: Float32Array, batch: number): Tensor | undefined {
  const { vocabulary, logits: logitsName } = languageOf(model);
  const type = model.outputs.find(({ name }) => name === logitsName)?.type;
  if (type !== "float32" || logits.length !== batch * vocabulary) return undefined;
  return new model.backend.Tensor(type, logits, [batch, 1, vocabulary]);
}

/**
 * Gives up a state that nobody else holds.
 * @returns the state where its buffers can be written again by the next step; else frees it
 */
export function retire(model: Model, state: State): State | undefined {
  if (model.backend.writesIntoFetches) return state;
  disposeState(state);
  return undefined;
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new LongConvError("aborted", "the generation was aborted", {}, undefined, signal.reason);
}

/** Runs columns from … to of the prompts, padded on the left to `length`. */
async function readColumns(
  model: Model,
  prompts: readonly Ids[],
  length: number,
  from: number,
  to: number,
  state: State,
  options: RunOptions,
): Promise<State> {
  const { logits: logitsName } = languageOf(model);
  const width = to - from;
  const ids = new Float64Array(prompts.length * width);
  const mask = new BigInt64Array(ids.length);
  const advance = prompts.map((prompt, row) => {
    const padding = length - prompt.length;
    const first = Math.max(from, padding);
    for (let column = first; column < to; column++) {
      ids[row * width + column - from] = prompt[column - padding]!;
      mask[row * width + column - from] = 1n;
    }
    return Math.max(0, to - first);
  });
  const feeds = feedsOf(model, ids, mask, [prompts.length, width], 1);
  const last = to === length;
  // The logits are fetched after the last slice only; a run must fetch something, and the states are always fetched.
  const outputs = last ? [logitsName] : [];
  const result = await step(model, feeds, state, { ...options, outputs, advance });
  return last ? { ...result.state, logits: await lastLogits(result.outputs[logitsName]!) } : result.state;
}

/** Logits of the last position of every row, as float32: [batch, kept, vocabulary] → [batch × vocabulary]. */
async function lastLogits(tensor: Tensor): Promise<Float32Array> {
  const onCpu = tensor.location === "cpu";
  const data = await dataOf(tensor);
  if (!onCpu) tensor.dispose();
  const floats = toFloat32(tensor.type, data);
  const [batch = 1, kept = 1, vocabulary = 1] = tensor.dims;
  if (kept === 1) return floats;
  const result = new Float32Array(batch * vocabulary);
  for (let row = 0; row < batch; row++) {
    const end = (row + 1) * kept * vocabulary;
    result.set(floats.subarray(end - vocabulary, end), row * vocabulary);
  }
  return result;
}

/** Slices to their end. */
export async function drain<T>(slices: AsyncGenerator<void, T>): Promise<T> {
  for (;;) {
    const { done, value } = await slices.next();
    if (done) return value;
  }
}
