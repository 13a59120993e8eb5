/** Lists of numbers made of the length and the batch size: chosen from, picked, cut, joined, reshaped. */
import { NotRun, Unproven } from "../values/cases.ts";
import { numbersOf, type Rule, rankOf, sizes, sizesOf } from "../values/rule.ts";

export const Where: Rule = ([condition, yes, no]) => {
  const chosen = numbersOf(condition);
  const [x, y] = [sizesOf(yes), sizesOf(no)];
  if (!chosen || !x || !y) throw new Unproven("chooses by a number made of the length");
  const length = Math.max(chosen.length, x.length, y.length);
  const at = <T>(list: readonly T[], i: number): T => list[list.length === 1 ? 0 : i]!;
  const rank = [condition, yes, no].some((operand) => rankOf(operand) === 1) ? 1 : 0;
  return sizes(
    rank,
    Array.from({ length }, (_, i) => at(at(chosen, i) ? x : y, i)),
  );
};

export const Gather: Rule = ([data, indices]) => {
  const [values, picked] = [sizesOf(data), numbersOf(indices)];
  if (!values || !picked) throw new Unproven("picks a number by the length");
  const chosen = picked.map((i) => values[i < 0 ? i + values.length : i]);
  if (!chosen.every((value) => value !== undefined)) throw new NotRun("a table of sizes ends");
  return sizes(rankOf(indices) === 1 ? 1 : 0, chosen);
};

export const Slice: Rule = ([data, starts, ends, , steps]) => {
  const values = sizesOf(data)!;
  const [start, end, step] = [starts, ends, steps].map((bound) => numbersOf(bound)?.[0]);
  if (start === undefined || end === undefined || (steps && step === undefined) || rankOf(data) !== 1)
    throw new Unproven("cuts sizes in a way that is not followed");
  if (!steps || step === 1) return sizes(1, values.slice(start, end));
  // [::-1]
  if (step === -1 && (start === -1 || start >= values.length - 1) && end < -values.length)
    return sizes(1, [...values].reverse());
  throw new Unproven("cuts sizes in a way that is not followed");
};

export const Concat: Rule = (inputs) => {
  const lists = inputs.map(sizesOf);
  if (!lists.every((list) => list !== undefined)) throw new Unproven("joins numbers made of the length with others");
  return sizes(1, lists.flat());
};

/** The same numbers with as many axes; undefined: with those that they have. */
export const same =
  (rank?: 0 | 1): Rule =>
  ([data]) => {
    if (data?.kind === "scalar") return data;
    const [values, own] = [sizesOf(data)!, rankOf(data)];
    if ((rank === 1 && own !== 0) || (rank === 0 && values.length !== 1))
      throw new Unproven("reshapes numbers made of the length");
    return sizes(rank ?? (own === 1 ? 1 : 0), values);
  };

export const Reshape: Rule = ([data, to]) => {
  const [values, target] = [sizesOf(data)!, numbersOf(to)];
  if (!target || target.length > 1 || (target.length === 0 && values.length !== 1))
    throw new Unproven("reshapes numbers made of the length");
  return sizes(target.length as 0 | 1, values);
};
