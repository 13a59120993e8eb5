/** Patterns that people's tokenizers have are taken, and those that double with every character are not. */
import { expect, test } from "vitest";
import { endlessIn } from "./pattern.ts";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

test.each([
  ["GPT-2", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"],
  [
    "Llama 3",
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ],
  [
    "GPT-4o",
    `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${CONTRACTIONS}?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ],
  ["BLOOM", " ?[^(\\s|[.,!?…。，、।۔،])]+"],
  ["DeepSeek's digits", "\\p{N}{1,3}(?=(\\d{3})*\\b)"],
  ["digits in threes", "(?=(\\d{3})+(?!\\d))"],
  ["SMILES", "\\[[^\\]]+]|Br?|Cl?|N|O|%[0-9]{2}|[0-9]|@@?"],
  ["numbers", "\\d+(?:[.,]\\d+)*"],
  ["ends of lines", "(?:\\r\\n|\\n)+"],
  ["spaces", " {2,}"],
  ["words", "(?:[a-z]+ )+x"],
  ["a class with a bracket", "(?:[]a]|b)+"],
  ["an open class", "(?:[a"],
])("%s", (_, pattern) => {
  expect(endlessIn(pattern)).toBeUndefined();
});

test.each([
  "(a+)+$",
  "(?:a*)*b",
  "(a|a)*b",
  "(a|ab|b)*c",
  "(?:aa?)+b",
  "(?:\\d{1,3})+x",
  "(?:[a-z]+ ?)+$",
  "x(?:(?:a|b)|[ab])*y",
  "((a)+)+b",
  "(?:\\p{L}|\\w)+;",
  "(?>a+)+b",
  "(?:a+){20,}b",
  "(?=(?:a+)+b)",
  "a*a*a*a*a*b",
  "(?:|a)+b",
])("%s is refused", (pattern) => {
  expect(endlessIn(pattern)).toMatch(/several ways|in a row/);
});
