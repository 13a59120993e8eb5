/** Probabilities of tokens, as logarithms. */

/** Natural logarithms of the probabilities that logits stand for. */
export function logProbabilities(logits: Float32Array): Float64Array {
  const total = logOfSum(logits);
  return Float64Array.from(logits, (logit) => logit - total);
}

/** The natural logarithm of one token's probability. */
export const logProbability = (logits: Float32Array, token: number): number => logits[token]! - logOfSum(logits);

function logOfSum(logits: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}
