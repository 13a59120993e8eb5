/** A regular expression as states and the characters between them, by refa. */
import { DFA, JS, type JS as Js, NFA, TooManyNodesError, Transformers, transform, visitAst } from "refa";
import { LongConvError } from "../../src/errors.ts";

/** From `low` to `high`, code points, to a state. */
export interface Edge {
  readonly low: number;
  readonly high: number;
  readonly to: number;
}

/** The texts that lead from state 0 to a final state are those that match as a whole. */
export interface Automaton {
  /** By state; in order, and none meets another. */
  readonly edges: readonly (readonly Edge[])[];
  readonly final: readonly boolean[];
}

/** Beyond, a pattern takes more than is worth it: `(a|b)*a(a|b){20}` would have a million. */
export const MOST_STATES = 10_000;
const MOST_CHARACTERS = 100_000;
/** A backreference, and no backslash that is written before a number. */
const REFERS_BACK = /(?<!\\)(?:\\\\)*\\(?:[1-9]|k<)/;
/** Half characters of UTF-16, which no text of UTF-8 has. */
const [FIRST_HALF, LAST_HALF] = [0xd800, 0xdfff];

/**
 * @param pattern in JavaScript's syntax, flag `u`; a text matches as a whole, as `^(?:pattern)$` does. `\p{…}` is that of refa's
 *   Unicode, 15.0
 * @throws LongConvError bad-input where it is none, has what no automaton follows, is too large, or matches no text
 */
export function automatonOf(pattern: string, maxStates = MOST_STATES): Automaton {
  const [dfa, nodes] = statesOf(pattern, maxStates);
  if (dfa.isEmpty) throw refused(pattern, "matches no text");
  const numbers = new Map(nodes.map((node, at) => [node, at]));
  const edges = nodes.map((node) =>
    [...node.out]
      .flatMap(([{ min, max }, to]) => withoutHalves({ low: min, high: max, to: numbers.get(to)! }))
      .sort((a, b) => a.low - b.low),
  );
  return { edges, final: nodes.map((node) => dfa.finals.has(node)) };
}

function statesOf(pattern: string, most: number): [DFA, DFA.Node[]] {
  if (typeof pattern !== "string") throw new LongConvError("bad-input", "a pattern must be a text");
  if (pattern.length > MOST_CHARACTERS) throw refused(pattern, `has more than ${MOST_CHARACTERS} characters`);
  try {
    // Alone, or its brackets might close ours.
    new RegExp(pattern, "u");
  } catch (error) {
    throw refused(pattern, `is no regular expression: ${(error as Error).message}`, error);
  }
  // refa 0.12 takes some for what they are not: `(?!(a))\1` refers to nothing.
  if (REFERS_BACK.test(pattern)) throw refused(pattern, "refers back to what was matched");
  try {
    const parser = JS.Parser.fromLiteral({ source: `^(?:${pattern})$`, flags: "u" });
    const parsing: Js.ParseOptions = { backreferences: "throw", assertions: "parse", maxNodes: most };
    const { expression, maxCharacter } = parser.parse(parsing);
    refuseAssertionsWithin(expression);
    const free = withoutAssertions(expression);
    const nfa = NFA.fromRegex(free, { maxCharacter }, { assertions: "throw" }, new NFA.LimitedNodeFactory(most));
    const dfa = DFA.fromFA(nfa, new DFA.LimitedNodeFactory(most));
    dfa.minimize();
    return [dfa, [...dfa.nodes()]];
  } catch (error) {
    const isLarge = error instanceof TooManyNodesError;
    const why = isLarge ? `takes more than ${most} states` : `cannot be followed: ${(error as Error).message}`;
    throw refused(pattern, why, error);
  }
}

type Expression = Parameters<typeof transform>[1];

/** refa 0.12 takes `(?<!$)` and the like for what they are not. */
function refuseAssertionsWithin(expression: Expression): void {
  let depth = 0;
  visitAst(expression, {
    onAssertionEnter() {
      depth++;
      if (depth > 1) throw new Error("An assertion stands in another.");
    },
    onAssertionLeave() {
      depth -= 1;
    },
  });
}

/** Assertions as part of what they stand beside; those of the whole text's ends are then true. */
function withoutAssertions(expression: Expression): Expression {
  const free = { ignoreOrder: true };
  const steps = [
    Transformers.simplify(free),
    Transformers.applyAssertions(free),
    Transformers.removeUnnecessaryAssertions(free),
    Transformers.patternEdgeAssertions({ ...free, remove: true }),
    Transformers.removeDeadBranches(free),
  ];
  let all = expression;
  for (const each of steps) all = transform(each, all);
  return all;
}

const withoutHalves = ({ low, high, to }: Edge): Edge[] =>
  [
    { low, high: Math.min(high, FIRST_HALF - 1), to },
    { low: Math.max(low, LAST_HALF + 1), high, to },
  ].filter((edge) => edge.low <= edge.high);

const SHOWN = 60;

function refused(pattern: string, why: string, cause?: unknown): LongConvError {
  const shown = pattern.length > SHOWN ? `${pattern.slice(0, SHOWN)}…` : pattern;
  const remedy = "Give a pattern in JavaScript's syntax, without what looks far back or ahead.";
  return new LongConvError("bad-input", `the pattern ${shown} ${why}`, {}, remedy, cause);
}
