/** Random edits of a text whose states are kept, each held against reading the text anew. */
import { generate } from "../runtime/generate/generate.ts";
import type { HistoryOptions } from "../runtime/kept/history.ts";
import type { Model, State } from "../runtime/model/model.ts";
import { dataOf, toFloat32 } from "../runtime/sessions/numeric.ts";
import { uniform } from "../src/random.ts";

export interface EditsOptions {
  readonly edits: number;
  readonly seed: number;
  readonly history?: HistoryOptions;
  /** Only in so many of the last tokens. Default: anywhere. */
  readonly last?: number;
  /** Tokens that are taken out and put in, at most. Default 8. */
  readonly most?: number;
}

export interface Edited {
  /** Tokens behind the edit, which have to be read again in any case. */
  readonly behind: number;
  readonly tokens: number;
  readonly ms: number;
  readonly anewMs: number;
  /** Largest difference of a state or logits from those of reading anew, of the largest number in the same tensor. */
  readonly apart: number;
}

/** Takes out some tokens at a random place and puts others in, again and again, always in the last text. */
export async function* editAgain(model: Model, text: readonly number[], options: EditsOptions): AsyncGenerator<Edited> {
  const { edits, seed, history = {}, most = 8 } = options;
  const random = uniform(seed);
  const below = (count: number) => Math.floor(count * random());
  const vocabulary = model.language!.vocabulary;
  const common = { maxNewTokens: 1, beyond: true };
  let ids = [...text];
  let generation = generate(model, { ...common, inputIds: ids, history });
  await generation.snapshot();
  for (let edit = 0; edit < edits; edit++) {
    const behind = 1 + below(Math.min(options.last ?? ids.length, ids.length) - 1);
    const at = ids.length - behind;
    const out = Math.min(behind, below(most + 1));
    // About as long as before, and never empty
    const put = Array.from({ length: Math.max(out === behind ? 1 : 0, below(most + 1)) }, () => below(vocabulary));
    const rest = [...put, ...ids.slice(at + out)];
    const begun = performance.now();
    generation = generation.rewind(behind, { inputIds: rest });
    const state = await generation.snapshot();
    const ms = performance.now() - begun;
    ids = [...ids.slice(0, at), ...rest];
    const again = performance.now();
    const anew = await generate(model, { ...common, inputIds: ids }).snapshot();
    yield { behind, tokens: ids.length, ms, anewMs: performance.now() - again, apart: await apartness(state, anew) };
  }
}

/** How far two states are apart; infinite where they have read different numbers of tokens. */
async function apartness(state: State, other: State): Promise<number> {
  if (state.positions[0] !== other.positions[0]) return Number.POSITIVE_INFINITY;
  let most = difference(state.logits!, other.logits!);
  for (const [index, tensor] of state.tensors.entries()) {
    const [own, due] = [await dataOf(tensor), await dataOf(other.tensors[index]!)];
    most = Math.max(most, difference(toFloat32(tensor.type, own), toFloat32(tensor.type, due)));
  }
  return most;
}

function difference(values: Float32Array, others: Float32Array): number {
  if (values.length !== others.length) return Number.POSITIVE_INFINITY;
  let [apart, largest] = [0, Number.MIN_VALUE];
  for (const [index, value] of others.entries()) {
    apart = Math.max(apart, Math.abs(value - values[index]!));
    largest = Math.max(largest, Math.abs(value));
  }
  return apart / largest;
}
