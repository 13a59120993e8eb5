/**
 * What a model's layers share in prefill: how a prompt is cut into chunks, and powers of their poles. It is made
 * once for all of them, in an If beside theirs, because a node of a few numbers costs ONNX Runtime as much as one of many.
 *
 * T tokens are chunks of c, the last of them r tokens long, and the chunks are N groups of g ≤ {@link MOST_IN_GROUP}, about
 * as equal as can be, the last token in the last. A group is laid out by the place in a chunk, token k of its
 * chunk I at k g + I, so that what is the same for every chunk is one matrix product over all of them; places past the end hold
 * the last token again, and nothing that is kept reads them.
 */
import type { Builder, SubgraphBuilder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import type { Duo } from "./modes.ts";
import { buildPowers } from "./powers.ts";

/** Chunks that are computed at once: with more of them the zeros of one product cost more than a scan over groups, which also bounds memory. */
const MOST_IN_GROUP = 64;

/** Tokens at most that have a pass of their own, few.ts. */
export const FEW = 8;

/** What prefill has to know of the prompt's length; names of tensors. */
export interface PrefillPlan {
  /** int64 [1]: T. */
  readonly length: string;
  /** int64 [N, c g]: which token stands at each place of a group. */
  readonly tokens: string;
  /** int64 [min(T, c g)]: the place of each token of a group. */
  readonly places: string;
  /** int64 [1]: N. */
  readonly groups: string;
  /** int64 scalar: the chunk of the last group that the last token is in. */
  readonly lastChunk: string;
  /** int64 [c]: the tokens of that chunk. */
  readonly lastTokens: string;
  /** int64 scalar r - 1. */
  readonly lastToken: string;
  /** int64 [1], c - r. */
  readonly missing: string;
  /** int64 [2g, 2(g+1)]: where the entries of a duo's scan matrix over a group are among its powers. */
  readonly entries: string;
  /** float32 [duos, 4(g+1)]: for each entry of a duo's 2 × 2 block zero, then that of Λ^(cj), j = 0 … g-1. */
  readonly powers: string;
  /** Where few tokens have a pass of their own. */
  readonly few?: FewTokens | undefined;
}

/** Whether there are at most {@link FEW} tokens, and whether two, bool [1]. */
export interface FewTokens {
  readonly isFew: string;
  readonly isTwo: string;
}

/** What a layer wants a plan for. */
export interface PlanWanted {
  readonly chunk: number;
  /** It has a pass for few tokens, which reads none. */
  readonly few?: true | undefined;
  readonly duos: readonly Duo[];
}

/** The plan itself. */
type Made = Omit<PrefillPlan, "few" | "length">;

/**
 * Adds the plans of all layers.
 * @param wanted one for each layer; undefined where it needs none
 * @param length int64 [1], T
 * @param isStep where it is true at run time, nothing is computed; undefined: no control flow
 * @returns in the order of `wanted`
 */
export function prefillPlans(
  b: Builder,
  wanted: readonly (PlanWanted | undefined)[],
  length: string,
  isStep: string | undefined,
): (PrefillPlan | undefined)[] {
  if (wanted.every((each) => each === undefined)) return [...wanted] as undefined[];
  if (isStep === undefined) return plansIn(b, wanted, length).map((plan) => plan && { ...plan, length });
  const isFew = b.one("LessOrEqual", [length, b.ints("few", [FEW])], undefined, { hint: "is_few" });
  const isTwo = b.one("Equal", [length, b.ints("two", [2])], undefined, { hint: "is_two" });
  const inner = b.subgraph();
  const made = plansIn(inner, wanted, length);
  const names = [...new Set(made.flatMap((plan) => (plan ? Object.values(plan) : [])))];
  const unread = wanted.every((each) => !each || each.few) ? isFew : isStep;
  const floats = new Set(made.map((plan) => plan?.powers));
  const empty = emptyBranch(
    b.subgraph(),
    names.map((name) => floats.has(name)),
  );
  const outside = b.add(
    "If",
    [unread],
    { then_branch: { graph: empty }, else_branch: { graph: inner.finish("prompt_tables", names) } },
    { outputs: names.map((name) => b.name(`${name}_shared`)), hint: "prompt_tables" },
  );
  const renamed = new Map(names.map((name, i) => [name, outside[i]!]));
  return made.map((plan, i) => {
    const few = wanted[i]?.few && { isFew, isTwo };
    return plan && { ...outsideOf(plan, (name) => renamed.get(name)!), length, few };
  });
}

const outsideOf = (plan: Made, renamed: (name: string) => string): Made => ({
  tokens: renamed(plan.tokens),
  places: renamed(plan.places),
  groups: renamed(plan.groups),
  lastChunk: renamed(plan.lastChunk),
  lastTokens: renamed(plan.lastTokens),
  lastToken: renamed(plan.lastToken),
  missing: renamed(plan.missing),
  entries: renamed(plan.entries),
  powers: renamed(plan.powers),
});

/** Outputs of the right types with nothing in them, by a node for each type: a step runs them. */
function emptyBranch(b: SubgraphBuilder, areFloats: readonly boolean[]) {
  const nothing = { type: DataType.INT64, dims: [0], data: new BigInt64Array(0) };
  const none = (count: number, source: string) => {
    const sizes = b.ints("no_sizes", new Array<number>(count).fill(0));
    return b.add("Split", [source, sizes], { axis: 0 }, { outputs: count, hint: "none" });
  };
  const floats = areFloats.filter((isFloat) => isFloat).length;
  const made = {
    floats: none(floats, b.floats("no_powers", [0], [])),
    ints: none(areFloats.length - floats, b.constant("no_places", nothing)),
  };
  return b.finish(
    "no_prompt",
    areFloats.map((isFloat) => (isFloat ? made.floats : made.ints).shift()!),
  );
}

function plansIn(b: Builder, wanted: readonly (PlanWanted | undefined)[], length: string): (Made | undefined)[] {
  const result: (Made | undefined)[] = wanted.map(() => undefined);
  for (const chunk of new Set(wanted.flatMap((each) => (each ? [each.chunk] : [])))) {
    const layers = wanted.flatMap((each, i) => (each?.chunk === chunk ? [i] : []));
    const { inGroup, ...plan } = chunkPlan(b, length, chunk);
    const counts = layers.map((i) => wanted[i]!.duos.length);
    const all = buildPowers(
      b,
      layers.flatMap((i) => wanted[i]!.duos),
      chunk,
      inGroup,
    );
    const each =
      layers.length === 1
        ? [all]
        : b.add("Split", [all, b.ints("duos", counts)], { axis: 0 }, { outputs: layers.length, hint: "powers" });
    layers.forEach((layer, i) => {
      result[layer] = { ...plan, powers: each[i]! };
    });
  }
  return result;
}

/** All that follows from T and c. */
function chunkPlan(b: Builder, length: string, chunk: number): Omit<Made, "powers"> & { inGroup: string } {
  const [zero, one] = [b.ints("zero", 0), b.ints("one", 1)];
  const scalar = b.ints("scalar", []);
  const column = b.ints("column", [-1, 1]);
  const size = b.ints("chunk", chunk);
  const range = (from: string, to: string) => b.one("Range", [from, to, one]);
  const T = b.one("Reshape", [length, scalar], undefined, { hint: "length" });
  const lastIndex = b.one("Sub", [T, one], undefined, { hint: "last" });
  const lastOfAll = b.one("Div", [lastIndex, size], undefined, { hint: "last_of_all" });
  const more = b.one("Div", [lastOfAll, b.ints("most", MOST_IN_GROUP)]);
  // ⌈chunks / N⌉, and as many groups of that size as it takes: the last has a token in it
  const almost = b.one("Add", [b.one("Add", [lastOfAll, one]), more], undefined, { hint: "almost" });
  const inGroup = b.one("Div", [almost, b.one("Add", [more, one])], undefined, { hint: "in_group" });
  const count = b.one("Add", [b.one("Div", [lastOfAll, inGroup]), one], undefined, { hint: "groups" });
  const lastChunk = b.one("Mod", [lastOfAll, inGroup], undefined, { hint: "last_chunk" });
  const lastToken = b.one("Mod", [lastIndex, size], undefined, { hint: "last_token" });
  const tokensInGroup = b.one("Mul", [inGroup, size], undefined, { hint: "tokens_in_group" });

  const inChunk = b.ints(
    "in_chunk",
    Array.from({ length: chunk }, (_, k) => k),
  );
  const within = (first: string) => b.one("Min", [b.one("Add", [inChunk, first]), lastIndex]);
  const lastTokens = within(b.one("Mul", [lastOfAll, size]));
  const first = b.one("Mul", [range(zero, inGroup), size], undefined, { hint: "first" });
  const token = b.one("Add", [b.one("Reshape", [inChunk, column]), first]);
  const group = b.one("Mul", [range(zero, count), tokensInGroup], undefined, { hint: "group" });
  const inGroups = b.one("Add", [b.one("Reshape", [token, b.ints("row", [1, -1])]), b.one("Reshape", [group, column])]);
  const tokens = b.one("Min", [inGroups, lastIndex], undefined, { hint: "tokens" });
  const t = range(zero, b.one("Min", [T, tokensInGroup]));
  const place = b.one("Mul", [b.one("Mod", [t, size]), inGroup]);
  const places = b.one("Add", [place, b.one("Div", [t, size])], undefined, { hint: "places" });
  const missing = b.one("Sub", [b.ints("last_place", [chunk - 1]), lastToken], undefined, { hint: "missing" });
  const groups = b.one("Reshape", [count, b.ints("flat", [-1])]);
  return {
    ...{ inGroup, groups, tokens, places, lastChunk, lastTokens, lastToken, missing },
    entries: scanEntries(b, inGroup),
  };
}

/**
 * Row (a, I), column (b, m) of a scan matrix is entry (a, b) of Λ^(c(I-m)) where m ≤ I, else zero: what comes in at the
 * boundary before chunk m shows before chunk I.
 */
function scanEntries(b: Builder, chunks: string): string {
  const [zero, one] = [b.ints("zero", 0), b.ints("one", 1)];
  const next = b.one("Add", [chunks, one]);
  const row = b.one("Reshape", [b.one("Range", [one, next, one]), b.ints("rows", [-1, 1, 1])]);
  const lag = b.one("Max", [b.one("Sub", [row, b.one("Range", [zero, next, one])]), zero]);
  const block = b.constant("block", {
    type: DataType.INT64,
    dims: [2, 1, 2, 1],
    data: BigInt64Array.of(0n, 1n, 2n, 3n),
  });
  const entries = b.one("Add", [b.one("Mul", [block, next]), lag]);
  const flat = b.ints("flat", [-1]);
  const sizes = b.one("Concat", [b.one("Reshape", [chunks, flat]), b.one("Reshape", [next, flat])], { axis: 0 });
  return b.one("Reshape", [entries, b.one("Mul", [sizes, b.ints("two", [2])])], undefined, { hint: "entries" });
}
