/** Automata against JavaScript's own regular expressions. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Automaton, automatonOf } from "./automaton.ts";
import { after, at, needAt, needsOf, type Position } from "./walk.ts";

/** Where the bytes lead; undefined where no matching text begins so. */
function walk(automaton: Automaton, bytes: Iterable<number>): Position | undefined {
  let position: Position | undefined = at(0);
  for (const byte of bytes) position = position && after(automaton, position, byte);
  return position;
}
const ends = (automaton: Automaton, position: Position | undefined): boolean =>
  position?.missing === 0 && automaton.final[position.state]!;
const matches = (automaton: Automaton, text: string): boolean =>
  ends(automaton, walk(automaton, new TextEncoder().encode(text)));

/** Every text of at most 4 of these characters. */
const WORDS = [""];
for (let from = 0, length = 0; length < 4; length++) {
  const longest = WORDS.slice(from);
  from = WORDS.length;
  for (const word of longest) WORDS.push(...[..."ab\n1é"].map((character) => word + character));
}

// What automata must take into themselves: anchors, borders of words, looking beside.
const PATTERNS = [
  "ab*|1",
  "a(?:b|1)+",
  "a||b",
  "(?:)",
  "[^b]*",
  ".*?b",
  "b{1,3}",
  "[^\\n]+",
  "a|^b$",
  "a|b$|^1",
  "(?:^a)*b",
  "(?:^|b)a*(?:$|1)",
  String.raw`\d+(?:a\d+)?$`,
  String.raw`\b\w+\b`,
  String.raw`\Ba|\B`,
  String.raw`(?:a\b|1)*`,
  String.raw`(?=a)\w+`,
  String.raw`a(?=b)\w`,
  "a(?!b).",
  "(?:a|b)(?=1).*",
  "(?:(?=a)|b)*",
  String.raw`\w+(?<!a)`,
  "(?<=a)b|1",
  String.raw`[\s\S]*(?<=ab)`,
  String.raw`(?:\\1|1)b`,
  String.raw`\p{L}+`,
  String.raw`\P{L}*`,
  "[à-ü]*",
  String.raw`\x61|\u{e9}`,
];

describe("a text matches as it does for JavaScript", () => {
  test.each(PATTERNS)("%s", (pattern) => {
    const expected = new RegExp(`^(?:${pattern})$`, "u");
    const automaton = automatonOf(pattern);
    expect(WORDS.filter((word) => matches(automaton, word) !== expected.test(word))).toEqual([]);
    expect(WORDS.some((word) => expected.test(word))).toBe(true);
  });

  test.each(["[^a]*", ".{2}", String.raw`[\u{80}-\u{900}\u{fff0}-\u{10100}]+`, String.raw`[\u{d000}-\u{e100}]+|\w+`])(
    "%s, any characters",
    (pattern) => {
      const expected = new RegExp(`^(?:${pattern})$`, "u");
      const automaton = automatonOf(pattern);
      const border = fc.constantFrom(
        "\x7f",
        "\x80",
        "\u07ff",
        "\u0800",
        "\ud7ff",
        "\ue000",
        "\uffff",
        "\u{10000}",
        "\u{10ffff}",
      );
      const text = fc.string({
        unit: fc.oneof(border, fc.string({ unit: "binary", minLength: 1, maxLength: 1 })),
        maxLength: 4,
      });
      fc.assert(
        fc.property(text, (word) => {
          expect(matches(automaton, word)).toBe(expected.test(word));
        }),
        { numRuns: 500 },
      );
    },
  );

  test("nothing but UTF-8, however it begins", () => {
    const automaton = automatonOf(String.raw`[\s\S]*`);
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const some = fc.oneof(
      fc.integer({ min: 0x80, max: 0xff }),
      fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0x9f, 0xa0, 0x8f, 0x90, 0x61),
    );
    const check = (bytes: number[]) => {
      let isText = true;
      try {
        decoder.decode(Uint8Array.from(bytes));
      } catch {
        isText = false;
      }
      expect(ends(automaton, walk(automaton, bytes))).toBe(isText);
    };
    fc.assert(fc.property(fc.array(some, { minLength: 1, maxLength: 5 }), check), { numRuns: 3000 });
  });
});

test("whatever stands in it, a pattern is refused or right", () => {
  const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom("a", "b", "1", ".", "[^a]", "\\w", "^", "$", "\\b", "\\B"),
      fc.tuple(tie("pattern"), tie("pattern")).map(([x, y]) => x + y),
      fc.tuple(tie("pattern"), tie("pattern")).map(([x, y]) => `(?:${x}|${y})`),
      fc.tuple(tie("pattern"), fc.constantFrom("*", "+?", "?", "{2}", "{1,2}")).map(([x, many]) => `(?:${x})${many}`),
      fc.tuple(fc.constantFrom("?=", "?!", "?<=", "?<!"), tie("pattern")).map(([look, x]) => `(${look}${x})`),
    ),
  }));
  let right = 0;
  const check = (source: string) => {
    const expected = new RegExp(`^(?:${source})$`, "u");
    let automaton: Automaton;
    try {
      automaton = automatonOf(source);
    } catch (error) {
      expect(error).toMatchObject({
        code: "bad-input",
        reason: expect.stringMatching(/cannot be followed|matches no text/),
      });
      if (String(error).includes("matches no text")) expect(WORDS.filter((word) => expected.test(word))).toEqual([]);
      return;
    }
    expect(WORDS.filter((word) => matches(automaton, word) !== expected.test(word))).toEqual([]);
    right++;
  };
  fc.assert(fc.property(pattern, check), { numRuns: 400, seed: 11 });
  expect(right).toBeGreaterThan(100);
});

test("a character that has begun has an end", () => {
  // é is C3 A9, and À begins alike
  expect(walk(automatonOf("é"), [0xc3])).toBeDefined();
  expect(walk(automatonOf("é"), [0xc3, 0x80])).toBeUndefined();
  expect(walk(automatonOf("é"), [0xc4])).toBeUndefined();
  // longer than need be, half a character of UTF-16, beyond the last
  for (const bytes of [[0xc0], [0xe0, 0x9f], [0xf0, 0x8f], [0xed, 0xa0], [0xf4, 0x90], [0xf5], [0x80]])
    expect(walk(automatonOf(String.raw`[\s\S]+`), bytes), String(bytes)).toBeUndefined();
  for (const bytes of [[0xc2], [0xe0, 0xa0], [0xf0, 0x90], [0xed, 0x9f], [0xf4, 0x8f]])
    expect(walk(automatonOf(String.raw`[\s\S]+`), bytes), String(bytes)).toBeDefined();
});

test("how many tokens suffice: the shortest way to an end, a byte a token", () => {
  const need = (pattern: string, isToken: (byte: number) => boolean = () => true) =>
    needsOf(automatonOf(pattern), isToken).states[0];
  expect(need("abc|de")).toBe(2);
  expect(need("é€😀")).toBe(2 + 3 + 4);
  expect(need("(?:ab)*")).toBe(0);
  expect(need("ab|cde", (byte) => byte !== 0x61)).toBe(3);
  expect(need("é|cde", (byte) => byte < 0x80)).toBe(3);
  expect(need("é", (byte) => byte < 0x80)).toBe(Number.POSITIVE_INFINITY);
  const automaton = automatonOf("€|à[a-c]{9}|áa");
  const after3 = (bytes: number[], isToken: (byte: number) => boolean) =>
    needAt(automaton, needsOf(automaton, isToken), walk(automaton, bytes)!);
  expect(after3([0xe2], () => true)).toBe(2);
  // á is C3 A1
  expect(after3([0xc3], () => true)).toBe(1 + 1);
  // a character that has begun ends only where its other bytes are tokens
  expect(after3([0xe2], (byte) => byte !== 0xac)).toBe(Number.POSITIVE_INFINITY);
});

describe("refused", () => {
  test.each([
    ["no expression", "a(", /is no regular expression/],
    ["brackets that would close ours", "a)|(?:b", /is no regular expression/],
    ["no text: an empty set", "a[]", /matches no text/],
    ["no text: it contradicts itself", "a(?=b)", /matches no text/],
    ["what refers back", String.raw`(a|b)1\1`, /refers back/],
    ["what refers back by name", String.raw`(?<name>a)\k<name>`, /refers back/],
    ["what refers back after a backslash", String.raw`(a)\\\1`, /refers back/],
    ["an end within a look", "(?:a(?!$))*", /An assertion stands in another/],
    ["a look within a look", "(?<!(?:$|a))b", /cannot be followed: An assertion stands in another/],
    ["what looks far ahead", "(?!.*bb)[ab]*", /cannot be followed/],
    ["states without measure", "(?:a|b)*a(?:a|b){20}", /more than 10000 states/],
    ["a long count", "(?:a{1000}){1000}", /more than 10000 states/],
    ["a long text", "a".repeat(100_001), /more than 100000 characters/],
  ])("%s", (_, pattern, message) => {
    const refusal = (() => {
      try {
        return automatonOf(pattern);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toMatchObject({ code: "bad-input", reason: expect.stringMatching(message) });
  });
});
