/**
 * Whether a regular expression of a tokenizer may take exponential time: a repetition of something that can match the same
 * text in several ways doubles the ways with every round. Read off the pattern, in Oniguruma's syntax as far as that matters.
 */

/** What is repeated between `least` and `most` times: a group, or anything that matches one character. */
interface Item {
  readonly group: Group | undefined;
  readonly source: string;
  readonly least: number;
  readonly most: number;
}
type Group = readonly (readonly Item[])[];

/** Repeated up to so often, it is as good as without end. */
const MANY = 16;
/** Repetitions without end that may stand one after the other: their number is the power of the length that a failure costs. */
const MOST_REPETITIONS = 4;
/** Characters by which two sets are held against one another: the first planes of the alphabets, CJK, Hangul, emoji. */
const SAMPLES = [
  ...Array.from({ length: 0x2600 }, (_, code) => String.fromCodePoint(code)),
  ...["、", "あ", "中", "한", "\uFEFF", "\uFF01", "😀"],
];

/**
 * Why a pattern may take for ever; undefined where it does not.
 * @param pattern a `Regex` of tokenizer.json
 */
export function endlessIn(pattern: string): string | undefined {
  const group = parse(pattern);
  if (repetitionsOf(group) > MOST_REPETITIONS) return `has more than ${MOST_REPETITIONS} repetitions in a row`;
  return ambiguousIn(group);
}

function ambiguousIn(group: Group): string | undefined {
  for (const item of group.flat()) {
    if (!item.group) continue;
    if (item.most >= MANY && isAmbiguous(item.group))
      return `repeats ${item.source}, which matches a text in several ways`;
    const inner = ambiguousIn(item.group);
    if (inner) return inner;
  }
  return undefined;
}

/** Whether it is not certain by one character where the next round, and which alternative of it, begins. */
function isAmbiguous(group: Group): boolean {
  if (group.length === 1 && isChain(group[0]!)) return false;
  const firsts = group.map(firstOf);
  if (firsts.some((first) => first === undefined)) return true;
  const sets = firsts.map((first) => setOf(first!));
  if (sets.some((set, i) => sets.slice(0, i).some((other) => meet(set, other)))) return true;
  const rest = leavesOf(group).filter((leaf) => !firsts.includes(leaf));
  if (group.every((items) => isFixed(items))) return false;
  return rest.some((leaf) => sets.some((set) => meet(set, setOf(leaf))));
}

/** Whether each thing ends where the next begins, and the last where the first does: "(?:[a-z]+ )+". */
function isChain(items: readonly Item[]): boolean {
  if (items.length < 2 || items.some(({ group, least }) => group || least === 0)) return false;
  const sets = items.map(setOf);
  return sets.every((set, i) => !meet(set, sets[(i + 1) % sets.length]!));
}

/** What an alternative begins with, a number of times that is fixed; undefined where it may begin with several things. */
function firstOf(items: readonly Item[]): Item | undefined {
  const [first] = items;
  if (!first || first.least === 0 || first.least !== first.most) return undefined;
  if (!first.group) return first;
  return first.group.length === 1 ? firstOf(first.group[0]!) : undefined;
}

const leavesOf = (group: Group): Item[] => group.flat().flatMap((item) => (item.group ? leavesOf(item.group) : [item]));

const isFixed = (items: readonly Item[]): boolean =>
  items.every(({ least, most, group }) => least === most && (group === undefined || group.every(isFixed)));

const repetitionsOf = (group: Group): number =>
  Math.max(
    0,
    ...group.map((items) =>
      items.reduce(
        (sum, { most, group: inner }) => sum + (most >= MANY ? 1 : 0) + (inner ? repetitionsOf(inner) : 0),
        0,
      ),
    ),
  );

/** Samples that a one-character pattern matches; all where JavaScript does not know it. */
function setOf({ source }: Item): ReadonlySet<string> {
  try {
    // here a bracket that comes first stands for itself
    const matches = new RegExp(`^(?:${source.replace(/^\[(\^?)\]/, "[$1\\]")})$`, "su");
    return new Set(SAMPLES.filter((sample) => matches.test(sample)));
  } catch {
    return new Set(SAMPLES);
  }
}

const meet = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => [...a].some((each) => b.has(each));

/** Whatever stands at the beginning of a pattern: how a group opens, a class is skipped, an escape, a quantifier. */
const OPENING = /^\((?:\?(?:[a-z-]*:|>|<?[=!]|P?<[^>]*>))?/;
const ESCAPE = /^\\(?:[pPx]\{[^}]*\}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[\s\S])/u;
const QUANTIFIER = /^(?:[*+?]|\{(\d*)(,?)(\d*)\})[?+]?/;

function parse(pattern: string): Group {
  let at = 0;
  const group = (): Group => {
    const alternatives: Item[][] = [[]];
    while (at < pattern.length && pattern[at] !== ")") {
      if (pattern[at] === "|") {
        at++;
        alternatives.push([]);
      } else alternatives.at(-1)!.push(item());
    }
    return alternatives;
  };
  const item = (): Item => {
    const from = at;
    const opening = OPENING.exec(pattern.slice(at, at + 64))?.[0];
    let inner: Group | undefined;
    if (opening) {
      at += opening.length;
      inner = group();
      at++;
    } else at = endOfOne(pattern, at);
    const source = pattern.slice(from, at);
    const quantifier = QUANTIFIER.exec(pattern.slice(at, at + 64));
    at += quantifier?.[0].length ?? 0;
    const [least, most] = quantifier ? timesOf(quantifier) : [1, 1];
    return { group: inner, source, least, most };
  };
  return group();
}

function timesOf([text, least, comma, most]: RegExpExecArray): [number, number] {
  if (!text!.startsWith("{")) return [text![0] === "+" ? 1 : 0, text![0] === "?" ? 1 : Number.POSITIVE_INFINITY];
  return [Number(least), comma ? (most ? Number(most) : Number.POSITIVE_INFINITY) : Number(least)];
}

/** The end of what matches one character: a class with the classes in it, an escape, or itself. */
function endOfOne(pattern: string, from: number): number {
  const escaped = ESCAPE.exec(pattern.slice(from, from + 64));
  if (escaped) return from + escaped[0].length;
  if (pattern[from] !== "[") return from + String.fromCodePoint(pattern.codePointAt(from)!).length;
  let depth = 0;
  for (let at = from; at < pattern.length; at++) {
    if (pattern[at] === "\\") at++;
    else if (pattern[at] === "[") depth++;
    else if (pattern[at] === "]" && at > from + 1) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return pattern.length;
}
