/** Whatever is chosen of what is left: texts match, and come to their end in time. */
import { describe, expect, test } from "vitest";
import { uniform } from "../../src/random.ts";
import type { Tokenizer } from "../text/text.ts";
import { regex } from "./constraint.ts";

const WORDS = ["the", " and", "ab", "</", "é", "€", "12", '":', ", ", "\u{1f600}x"];
const STOP = 256 + WORDS.length;
const encoder = new TextEncoder();

/** Every byte is a token, some are words, and some bytes begin a character and leave it to others to end. */
const tokenizer: Tokenizer = {
  size: STOP + 3,
  encode: () => [],
  decode: () => "",
  bytes(id) {
    if (id < 256) return Uint8Array.of(id);
    if (id < STOP) return encoder.encode(WORDS[id - 256]!);
    return id === STOP ? undefined : encoder.encode("a€").slice(0, id - STOP + 1);
  },
};

/** A text by random choices, with stop tokens or without; undefined where none can be chosen. */
function anyText(pattern: string, most: number, seed: number, stops: ReadonlySet<number>): string | undefined {
  const random = uniform(seed);
  const matching = regex(tokenizer, pattern).begin(most, stops);
  const bytes: number[] = [];
  for (let made = 0; made < most; made++) {
    const logits = new Float32Array(tokenizer.size);
    matching.restrict(logits, { ids: [], generated: made });
    const possible = [...logits.keys()].filter((id) => logits[id]! > Number.NEGATIVE_INFINITY);
    if (possible.length === 0) return undefined;
    const token = possible[Math.floor(random() * possible.length)]!;
    if (stops.has(token)) break;
    bytes.push(...tokenizer.bytes!(token)!);
    if (matching.push(token)) break;
  }
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

describe.each([
  "[\\s\\S]+",
  "\\W+|the",
  "(?:the|and| and|ab)*€",
  "[€-\u{1f6ff}]{2,5}",
  "[^\\u0000-\\u{ffff}]+ab",
  "(?:é|€|a{1,9}){3}",
  '\\{"the": ?(?:\\d+|"[^"\\\\]*")(?:, ?"ab":12)?\\}',
  "a(?=b)\\w{3}(?<!a)",
  "\\p{L}{4}",
  "(?!t)\\w+",
])("%s", (pattern) => {
  const expected = new RegExp(`^(?:${pattern})$`, "u");
  const need = (() => {
    const constraint = regex(tokenizer, pattern);
    for (let most = 1; ; most++) {
      try {
        constraint.begin(most, new Set());
        return most;
      } catch (error) {
        expect(String(error)).toContain(`and there may be ${most}`);
      }
    }
  })();

  test.each([
    ["with a stop token", new Set([STOP])],
    ["without one", new Set<number>()],
    ["with one that could be text", new Set([0x37, STOP])],
  ])("%s", (_, stops) => {
    for (const most of [need, need + 1, need + 4, need + 20])
      for (let seed = 0; seed < 12; seed++)
        expect(anyText(pattern, most, seed, stops), `${most} ${seed}`).toMatch(expected);
  });
});

test("a text that is complete says so, and one that may go on does not", () => {
  const matching = regex(tokenizer, "ab*").begin(9, new Set());
  expect([matching.push(0x61), matching.push(0x62)]).toEqual([false, false]);
  const whole = regex(tokenizer, "ab").begin(9, new Set());
  expect([whole.push(0x61), whole.push(0x62)]).toEqual([false, true]);
  expect(
    regex(tokenizer, "ab|é")
      .begin(9, new Set())
      .push(256 + 2),
  ).toBe(true);
});

test("one constraint serves texts at the same time", () => {
  const constraint = regex(tokenizer, "a{2}|b{3}");
  const [one, other] = [constraint.begin(9, new Set()), constraint.begin(9, new Set())];
  one.push(0x61);
  other.push(0x62);
  const left = (matching: typeof one) => {
    const logits = new Float32Array(tokenizer.size);
    matching.restrict(logits, { ids: [], generated: 1 });
    return [...logits.keys()].filter((id) => logits[id] === 0);
  };
  expect([left(one), left(other)]).toEqual([[0x61], [0x62]]);
});
