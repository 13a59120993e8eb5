/** The tokens that are still possible, with their logits: what every sampling method narrows. */

export interface Candidates {
  /** Token ids, ascending. */
  readonly ids: Int32Array;
  /** Their logits, in the same order. */
  readonly logits: Float64Array;
}

/** Every token of the vocabulary. */
export function allTokens(logits: Float32Array): Candidates {
  const ids = new Int32Array(logits.length);
  for (let id = 0; id < ids.length; id++) ids[id] = id;
  return { ids, logits: new Float64Array(logits) };
}

/** Keeps the candidates for which `keep` holds; all of them if none does. */
export function narrow(candidates: Candidates, keep: (index: number) => boolean): Candidates {
  const { ids, logits } = candidates;
  const kept: number[] = [];
  for (let index = 0; index < ids.length; index++) if (keep(index)) kept.push(index);
  if (kept.length === 0 || kept.length === ids.length) return candidates;
  const result = { ids: new Int32Array(kept.length), logits: new Float64Array(kept.length) };
  for (let index = 0; index < kept.length; index++) {
    result.ids[index] = ids[kept[index]!]!;
    result.logits[index] = logits[kept[index]!]!;
  }
  return result;
}

/** Softmax of the candidates' logits. */
export function probabilities({ logits }: Candidates): Float64Array {
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > max) max = logit;
  const result = new Float64Array(logits.length);
  let sum = 0;
  for (let index = 0; index < logits.length; index++) {
    const value = Math.exp(logits[index]! - max);
    result[index] = value;
    sum += value;
  }
  for (let index = 0; index < result.length; index++) result[index]! /= sum;
  return result;
}

/** Index of the largest value, the first of equals; -1 where every value is NaN or -Infinity. */
export function argmax(v: Float32Array | Float64Array): number {
  let best = Number.NEGATIVE_INFINITY;
  let at = -1;
  const find = (from: number, to: number) => {
    for (let index = from; index < to; index++) {
      if (!(v[index]! > best)) continue;
      best = v[index]!;
      at = index;
    }
  };
  // Eight at a time: half the time of a plain loop on a vocabulary of 50 000, which is most of a step's overhead.
  const end = v.length & ~7;
  for (let i = 0; i < end; i += 8) {
    const low = v[i]! > best || v[i + 1]! > best || v[i + 2]! > best || v[i + 3]! > best;
    if (low || v[i + 4]! > best || v[i + 5]! > best || v[i + 6]! > best || v[i + 7]! > best) find(i, i + 8);
  }
  find(end, v.length);
  return at;
}

/** The k-th largest value (k ≥ 1), by quickselect on a copy. */
export function kthLargest(values: Float64Array, k: number): number {
  const work = values.slice();
  const target = work.length - k;
  let low = 0;
  let high = work.length - 1;
  while (low < high) {
    const pivot = work[(low + high) >>> 1]!;
    let left = low;
    let right = high;
    while (left <= right) {
      while (work[left]! < pivot) left++;
      while (work[right]! > pivot) right--;
      if (left > right) break;
      const swap = work[left]!;
      work[left++] = work[right]!;
      work[right--] = swap;
    }
    if (target <= right) high = right;
    else if (target >= left) low = left;
    else break;
  }
  return work[target]!;
}
