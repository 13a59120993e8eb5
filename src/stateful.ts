/** Files that carry their state already, under names of their own: which input goes on from which output. */
import { METADATA, pairStates, type StatePair } from "./contract.ts";
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
 * Pairs states with the names that the contract gives (`past_*`), where there are none with those that people are used to
 * (`state` and `stateN`, `h0` and `hn`, `cached_*` and `new_cached_*`), or as told.
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
  // a file under the contract's names has no others: what is called as people call states is a stream of its own
  if (present.size === 0) {
    learn(HABITS);
    if (present.size > 0) learn(BESIDE);
  }
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

/** An input or output as a file declares it; "?" or undefined: a size without a name. */
export interface Port {
  readonly name: string;
  readonly dims?: readonly (number | string | undefined)[] | undefined;
  readonly type?: number | undefined;
}

/** What exporters and people call the axis of the sequences, and that of the positions. */
export const BATCH_NAME = /batch|^b$/i;
export const TIME_NAME = /seq|time|len|frame|^[tnl]$/i;

/**
 * The axis of a state's batch where its sizes are fixed: the first of size 1; of a file that knows no batch, none.
 */
export function batchOfFixed(dims: readonly unknown[]): number | undefined {
  const one = dims.indexOf(1);
  return one < 0 ? undefined : one;
}

/** Keys and values of Hugging Face's exports: their axis of positions grows from one call to the next. */
const GROWING = /^past_key_values\.\d+\.(key|value)$/;

/**
 * Whether a pair that is named as a state can be one: what goes on has the sizes of what came in, and is no sequence: it lacks
 * some open axis of every input that is one. What is not declared may be anything.
 * @param others the inputs that are no states by their names
 * @param answers the outputs that are none
 */
function canBeState(
  { past, present }: { past: Port; present: Port },
  others: readonly Port[],
  answers: readonly Port[],
): boolean {
  const [before, after] = [past.dims, present.dims];
  if (!before || !after || (GROWING.test(past.name) && before.length === 4)) return true;
  const isFixed = (size: number | string | undefined) => typeof size === "number";
  const changes = before.some((size, axis) => isFixed(size) && isFixed(after[axis]) && size !== after[axis]);
  if (before.length !== after.length || changes) return false;
  const kept = new Set(symbolsOf(before).filter((size) => after[before.indexOf(size)] === size));
  // a size that moves to another axis, or goes on in an answer, is the time of a stream
  const moves = (size: string) => after.includes(size) || answers.some(({ dims }) => dims?.includes(size));
  if (symbolsOf(before).some((size) => isNoBatch(size) && !kept.has(size) && moves(size))) return false;
  if (others.length === 0) return kept.size < 2 && ![...kept].some((size) => TIME_NAME.test(size) && isNoBatch(size));
  return !others.some(({ dims = [] }) => {
    const hasTime = symbolsOf(dims.slice(1)).some((size) => isNoBatch(size) && kept.has(size));
    return hasTime && symbolsOf(dims).every((size) => kept.has(size));
  });
}

const symbolsOf = (dims: NonNullable<Port["dims"]>): string[] => dims.filter((size) => typeof size === "string");
const isNoBatch = (size: string): boolean => !BATCH_NAME.test(size);

/**
 * Says of a file that goes on from its own outputs that there is nothing to convert. What is only called like a state, and has the
 * time of the sequence among its axes or goes on in another size, is a stream.
 * @throws LongConvError already-converted
 */
export function refuseStateful(inputs: readonly Port[], outputs: readonly Port[], file: string): void {
  const named = pairByName(
    inputs.map(({ name }) => name),
    outputs.map(({ name }) => name),
  );
  const others = inputs.filter(({ name }) => !named.some(({ past }) => past === name));
  const answers = outputs.filter(({ name }) => !named.some(({ present }) => present === name));
  // what a file gives beside its states is what it is for: where nothing is beside them, they are that
  if (answers.length === 0) return;
  const portOf = (ports: readonly Port[], name: string) => ports.find((each) => each.name === name)!;
  const pairs = named.filter(({ past, present }) =>
    canBeState({ past: portOf(inputs, past), present: portOf(outputs, present) }, others, answers),
  );
  if (pairs.length === 0) return;
  throw statefulAlready(
    describePairs(pairs),
    "`longconv-ssm rename` writes it under the names by which the runtime and other drivers carry states. Where these are sequences, export with a dynamic length, or under other names.",
    file,
  );
}

/**
 * The same of a file of fixed sizes whose states are called as nobody calls them: what has the shape and the type of one output,
 * and no size of the first input's, goes on from it. Where the length is open, such an input is conditioning, and the output an answer.
 * @throws LongConvError already-converted
 */
export function refuseStatefulByShape(inputs: readonly Port[], outputs: readonly Port[], file: string): void {
  const pairs = pairByShape(inputs, outputs);
  if (pairs.length === 0) return;
  const told = pairs.map(({ past, present }) => ` --state ${past}=${present}`).join("");
  throw statefulAlready(
    `${describePairs(pairs)}, by ${pairs.length === 1 ? "its shape" : "their shapes"}`,
    `\`longconv-ssm rename${told}\` writes it under the names by which the runtime and other drivers carry states. Where an input is a sequence or conditioning, say with --time-axis which axis is time.`,
    file,
  );
}

const statefulAlready = (states: string, remedy: string, file: string): LongConvError =>
  new LongConvError(
    "already-converted",
    `it is stateful already: ${states}`,
    { file: file || undefined },
    `Nothing is to be converted: ${remedy}`,
  );

function pairByShape(inputs: readonly Port[], outputs: readonly Port[]): StatePair[] {
  const main = inputs.find(({ dims = [] }) => dims.length >= 2);
  const isFixed = ({ dims }: Port) => dims?.slice(1).every((size) => typeof size === "number") === true;
  if (!main || ![...inputs, ...outputs].every(isFixed)) return [];
  // an open batch is one row or more
  const isSame = (a: Port, b: Port) =>
    a.type === b.type &&
    a.dims!.length === b.dims!.length &&
    a.dims!.every((size, axis) => size === b.dims![axis] || (axis === 0 && !isNumbers([size, b.dims![axis]])));
  return inputs.flatMap((past) => {
    const [only, ...more] = outputs.filter((each) => isSame(past, each));
    const [, ...own] = past.dims!;
    const isAlone = own.length > 0 && !own.some((size) => size !== 1 && main.dims!.slice(1).includes(size));
    const isTaken = only && inputs.some((each) => each !== past && isSame(each, only));
    return past === main || !only || more.length > 0 || isTaken || !isAlone
      ? []
      : [{ past: past.name, present: only.name }];
  });
}

const isNumbers = (sizes: readonly unknown[]): boolean => sizes.every((size) => typeof size === "number");

/** What a file says of itself. */
interface Declared {
  readonly file: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: { readonly inputs: readonly Port[]; readonly outputs: readonly Port[] };
}

/**
 * A converted model would be refused for its states' layout, which says nothing to whoever took it for the export.
 * @throws LongConvError already-converted
 */
export function refuseConverted({ file, metadata, graph }: Declared): void {
  if (!metadata.has(METADATA.version)) return;
  const [inputs, outputs] = [graph.inputs, graph.outputs].map((values) => values.map(({ name }) => name));
  const states = pairStates(inputs!, outputs!).map(({ past }) => past);
  const named = [...states.slice(0, 3), ...(states.length > 3 ? ["…"] : [])].join(", ");
  throw new LongConvError(
    "already-converted",
    `it is a converted model: it carries ${named}`,
    { file: file || undefined },
    "Give the exported model that it was made from. `longconv-ssm check` shows its states, `longconv-ssm generate` runs it.",
  );
}
