/** Greedy text of the demo model: by the converted model's steps, and by running the exported graph again for each token. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { integerTensor } from "../converter/graph/integers.ts";
import { decodeMessage } from "../converter/graph/schema.ts";
import { DataType, int64Tensor, type Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { tensorFromProto } from "../converter/graph/tensorproto.ts";
import type { Runner } from "../converter/ort/run.ts";
import { ATTENTION_MASK, INPUT_IDS, LOGITS } from "../src/contract.ts";
import type { Stepper } from "./converted.ts";

/** [1, n] */
export const idsTensor = (ids: readonly number[]): Tensor => int64Tensor([1, ids.length], ids);

/** The first tokens of the demo model's held-back text. */
export function promptIds(folder: string, count: number): number[] {
  const { data } = tensorFromProto(decodeMessage("TensorProto", readFileSync(path.join(folder, "valid_ids.pb"))));
  return Array.from((data as BigInt64Array).slice(0, count), Number);
}

/** The largest logit's token, and how far the next one is below it. */
export function topTwo(logits: ArrayLike<number>): { token: number; gap: number } {
  let [token, first, second] = [0, -Infinity, -Infinity];
  for (let k = 0; k < logits.length; k++) {
    const value = logits[k]!;
    if (value > first) [token, first, second] = [k, value, first];
    else if (value > second) second = value;
  }
  return { token, gap: first - second };
}

/** The prompt and `count` tokens after it: the prompt in one pass, then one token a step. */
export async function stepGreedy(
  model: { stepper(): Stepper },
  prompt: readonly number[],
  count: number,
): Promise<number[]> {
  const stepper = model.stepper();
  const text = [...prompt];
  let piece = idsTensor(prompt);
  while (text.length < prompt.length + count) {
    const next = topTwo(lastRow((await stepper.read({ [INPUT_IDS]: piece }))[LOGITS]!)).token;
    text.push(next);
    piece = idsTensor([next]);
  }
  return text;
}

export interface Rerun {
  readonly text: number[];
  /** Gap between the two largest logits at each step. */
  readonly gaps: number[];
}

/**
 * The same by the exported graph, run over the whole text for each token.
 * @param options.padded append tokens up to a power of two, where ORT's DFT is precise; the model is causal, so they
 *   change nothing at the positions before them
 */
export async function rerunGreedy(
  model: Runner,
  prompt: readonly number[],
  count: number,
  { padded }: { padded: boolean },
): Promise<Rerun> {
  const text = [...prompt];
  const gaps: number[] = [];
  while (text.length < prompt.length + count) {
    const length = padded ? 2 ** Math.ceil(Math.log2(text.length)) : text.length;
    const ids = [...text, ...new Array<number>(length - text.length).fill(0)];
    const logits = (await model.run({ [INPUT_IDS]: idsTensor(ids) }))[LOGITS]!;
    const { token, gap } = topTwo(rowOf(logits, text.length - 1));
    text.push(token);
    gaps.push(gap);
  }
  return { text, gaps };
}

/**
 * Logits after these ids, by the exported graph over the whole sequence: its first output, [1, n, vocabulary].
 * @param idType as its ids are declared; of mask and positions it is given those that it takes
 */
export async function logitsAfter(
  model: Runner,
  ids: readonly number[],
  idType: number = DataType.INT64,
): Promise<ReturnType<typeof toNumbers>> {
  const dims = [1, ids.length];
  const given = {
    [INPUT_IDS]: integerTensor(idType, dims, (i) => ids[i]!),
    [ATTENTION_MASK]: int64Tensor(dims, new Array<number>(ids.length).fill(1)),
    position_ids: int64Tensor(dims, [...ids.keys()]),
  };
  const feeds = Object.entries(given).filter(([input]) => model.inputs.includes(input));
  const logits = toNumbers((await model.run(Object.fromEntries(feeds)))[model.outputs[0]!]!);
  return logits.subarray(logits.length - logits.length / ids.length);
}

/** `count` greedy tokens after a prompt, by the exported graph over the whole sequence again for each. */
export async function greedyAgain(
  model: Runner,
  prompt: readonly number[],
  count: number,
  idType?: number,
): Promise<number[]> {
  const ids = [...prompt];
  while (ids.length < prompt.length + count) ids.push(topTwo(await logitsAfter(model, ids, idType)).token);
  return ids.slice(prompt.length);
}

const lastRow = (logits: Tensor): Float32Array => rowOf(logits, logits.dims[1]! - 1);

/** Logits at a position, [1, n, vocabulary]. */
export function rowOf(logits: Tensor, position: number): Float32Array {
  const vocabulary = logits.dims[2]!;
  return (logits.data as Float32Array).subarray(position * vocabulary, (position + 1) * vocabulary);
}
