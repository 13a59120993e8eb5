/** Logarithms of probabilities, of the model's own logits: before penalties, biases and temperature. */
import { type Model, read, type State } from "../../runtime/node.ts";

/** A token with the logarithm of its probability. */
export interface Logprob {
  readonly id: number;
  readonly logprob: number;
}

/** A token that was made, and the most probable ones in its place. */
export interface TokenLogprob extends Logprob {
  readonly top: readonly Logprob[];
}

/** @param logits [vocabulary] @param top how many of the most probable tokens, lowest ids first where they are equal */
export function logprobOf(logits: Float32Array, id: number, top: number): TokenLogprob {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const norm = largest + Math.log(sum);
  const best: number[] = [];
  for (let each = 0; top > 0 && each < logits.length; each++) {
    if (best.length === top && !(logits[each]! > logits[best.at(-1)!]!)) continue;
    let at = best.length;
    while (at > 0 && logits[best[at - 1]!]! < logits[each]!) at--;
    best.splice(at, 0, each);
    if (best.length > top) best.pop();
  }
  // JSON has no -Infinity; OpenAI's API gives -9999 for what cannot come
  const of = (each: number) => Math.max(logits[each]! - norm, -9999);
  return { id, logprob: of(id), top: best.map((each) => ({ id: each, logprob: of(each) })) };
}

/** Of a prompt's tokens; the first has none, since nothing stands before it. Reads them one by one. */
export async function promptLogprobs(
  model: Model,
  ids: readonly number[],
  top: number,
  signal: AbortSignal,
): Promise<(TokenLogprob | undefined)[]> {
  const result: (TokenLogprob | undefined)[] = [];
  let state: State | undefined;
  for (const id of ids) {
    result.push(state && logprobOf(state.logits!, id, top));
    state = await read(model, [[id]], { state, signal });
  }
  return result;
}
