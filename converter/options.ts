/** The numbers among the options, checked before any work is done. */
import { LongConvError } from "../src/errors.ts";
import { BUDGETS, type ChooseOptions } from "./choose/options.ts";

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
const isError = (value: number): boolean => value >= 0 && value < Infinity;
const COUNT = [isCount, "a whole number of at least 1"] as const;
const ERROR = [isError, "a number of at least 0"] as const;

const NUMBERS = {
  horizon: COUNT,
  order: COUNT,
  maxState: COUNT,
  trainingLength: COUNT,
  threads: COUNT,
  cacheCapacity: COUNT,
  tolerance: ERROR,
  checkTolerance: ERROR,
} as const;

type Numbers = { readonly [Name in keyof typeof NUMBERS]?: number | undefined };
type Budgeted = Pick<ChooseOptions, "budget" | "exact" | "order" | "maxState">;

/** @throws LongConvError usage, naming the option */
export function refuseOptions(options: Numbers & Budgeted): void {
  for (const [name, [fits, what]] of Object.entries(NUMBERS)) {
    const value = options[name as keyof Numbers];
    if (value === undefined || fits(value)) continue;
    throw new LongConvError("usage", `${name} is ${value}: it must be ${what}`);
  }
  const { budget, exact, order, maxState } = options;
  if (budget !== undefined && !BUDGETS.includes(budget))
    throw new LongConvError("usage", `budget is ${budget}: it must be one of ${BUDGETS.join(", ")}`);
  if (budget === "outputs" && (exact || order !== undefined || maxState !== undefined))
    throw new LongConvError(
      "usage",
      "a `budget` of the outputs is shared by `tolerance`, not by `exact`, `order` or `maxState`",
    );
}
