/** Files that carry their state already, under names of their own: which input goes on from which output. */
import { pairStates, type StatePair } from "./contract.ts";
import { LongConvError } from "./errors.ts";

/** How people name them: an input, and what the output is called that it is fed with next. */
const HABITS: readonly (readonly [past: RegExp, present: string])[] = [
  [/^state$/, "stateN"],
  [/^([hc])0$/, "$1n"],
  [/^([hc])$/, "$1n"],
  [/^(cached?_.+)$/, "new_$1"],
  [/^(.*state.*)_in$/, "$1_out"],
  [/^past\.(.+)$/, "present.$1"],
];

/** Counted with other states, but alone no sign of any. */
const BESIDE: readonly (readonly [past: RegExp, present: string])[] = [[/^(.+)$/, "new_$1"]];

/** Input by input, the outputs that go on; what is not named here is found by its name. */
export type ToldStates = Readonly<Record<string, string>>;

/**
 * Pairs states with the names that the contract gives (`past_*`), that people are used to (`state` and `stateN`, `h0` and
 * `hn`, `cached_*` and `new_cached_*`), or as told.
 * @returns the pairs in the order of the inputs
 * @throws LongConvError bad-input where a name that is told is none of the model's
 */
export function pairByName(
  inputNames: readonly string[],
  outputNames: readonly string[],
  told: ToldStates = {},
  file?: string,
): StatePair[] {
  const [inputs, outputs] = [new Set(inputNames), new Set(outputNames)];
  const present = new Map(pairStates(inputNames, outputNames).map((pair) => [pair.past, pair.present]));
  const learn = (habits: typeof HABITS) => {
    for (const name of inputNames)
      for (const [past, output] of habits) {
        const next = past.test(name) ? name.replace(past, output) : "";
        if (!present.has(name) && outputs.has(next)) present.set(name, next);
      }
  };
  learn(HABITS);
  if (present.size > 0) learn(BESIDE);
  for (const [past, next] of Object.entries(told)) {
    refuseUnknown(past, inputs, "input", file);
    refuseUnknown(next, outputs, "output", file);
    present.set(past, next);
  }
  return inputNames.flatMap((past) => (present.has(past) ? [{ past, present: present.get(past)! }] : []));
}

function refuseUnknown(name: string, names: ReadonlySet<string>, what: string, file: string | undefined): void {
  if (names.has(name)) return;
  const remedy = `Its ${what}s are ${[...names].join(", ")}.`;
  throw new LongConvError("bad-input", `the model has no ${what} '${name}' that a state could be`, { file }, remedy);
}

/** "state → stateN", and how many more. */
export function describePairs(pairs: readonly StatePair[]): string {
  const said = pairs.slice(0, 3).map(({ past, present }) => `${past} → ${present}`);
  return [...said, ...(pairs.length > 3 ? [`${pairs.length - 3} more`] : [])].join(", ");
}

/**
 * Says of a file that goes on from its own outputs that there is nothing to convert.
 * @throws LongConvError already-converted
 */
export function refuseStateful(inputNames: readonly string[], outputNames: readonly string[], file: string): void {
  const pairs = pairByName(inputNames, outputNames);
  if (pairs.length === 0) return;
  throw new LongConvError(
    "already-converted",
    `it is stateful already: ${describePairs(pairs)}`,
    { file: file || undefined },
    "Nothing is to be converted: `longconv-ssm rename` writes it under the names by which the runtime and other drivers carry states.",
  );
}
