/** Tokenizers that would give nothing, or never end, are refused by name; those that people have are read. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { within } from "../node/within.ts";
import { createTokenizer } from "./text.ts";

const demo = JSON.parse(readFileSync("test/models/demo/tokenizer.json", "utf8"));
const VOCAB = Object.fromEntries(["<unk>", "▁", "a", "b", "▁a", "ab"].map((token, id) => [token, id]));
const BPE = { type: "BPE", vocab: VOCAB, merges: ["▁ a", "a b"], unk_token: "<unk>" };
const LONG = "x".repeat(1e6);

/** A tokenizer.json with these parts. */
const file = (parts: object) => ({
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: BPE,
  ...parts,
});
const model = (parts: object) => file({ model: { ...BPE, ...parts } });
const replace = (pattern: object, content: string) => ({ type: "Replace", pattern, content });
const sequence = (normalizers: unknown[]) => file({ normalizer: { type: "Sequence", normalizers } });

test.each<[string, unknown, RegExp]>([
  ["no object", [], /not a JSON object/],
  ["no model", file({ model: null }), /no model/],
  ["an empty vocabulary", model({ vocab: {}, merges: [] }), /empty vocabulary/],
  ["an empty list of pieces", model({ type: "Unigram", vocab: [], unk_id: 0 }), /empty vocabulary/],
  ["no vocabulary but added tokens", file({ model: {}, added_tokens: [{ id: 0, content: "a" }] }), /empty vocabulary/],
  ["the demo's without its vocabulary", { ...demo, model: { ...demo.model, vocab: {} } }, /empty vocabulary/],
  ["an unknown type", model({ type: "Morse" }), /type "Morse"; BPE, Unigram/],
  ["the demo's with an unknown type", { ...demo, model: { ...demo.model, type: "bpe" } }, /type "bpe"/],
  ["a type that is none", model({ type: 7 }), /type 7/],
  ["a negative id", model({ vocab: { a: -1 } }), /the id -1/],
  ["an id of 1e9", model({ vocab: { a: 1e9 } }), /the id 1000000000/],
  ["half an id", model({ vocab: { a: 0.5 } }), /the id 0\.5/],
  ["an added id that is none", file({ added_tokens: [{ id: "a", content: "a" }] }), /the id "a"/],
  ["1 MB before every text", file({ normalizer: { type: "Prepend", prepend: LONG } }), /1000001 times as long/],
  ["1 MB for every a", file({ normalizer: replace({ String: "a" }, LONG) }), /1000000 times as long/],
  ["doubled 30 times", sequence(new Array(30).fill(replace({ String: "a" }, "aa"))), /1073741824 times as long/],
  [
    "1 MB before every word",
    file({ pre_tokenizer: { type: "Metaspace", replacement: LONG, prepend_scheme: "always" } }),
    /pre_tokenizer that makes a text/,
  ],
  ["1 MB for every token", file({ decoder: replace({ String: "a" }, LONG) }), /decoder that makes a text/],
  ["1 MB of pattern", file({ pre_tokenizer: { type: "Split", pattern: { String: LONG } } }), /characters of text/],
  [
    "a pattern that doubles with every letter",
    file({ pre_tokenizer: { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated" } }),
    /pre_tokenizer that may take for ever on some texts: its pattern repeats \(a\+\)/,
  ],
  ["such a pattern in a list of steps", sequence([replace({ Regex: "(?:a|ab?)*c" }, "b")]), /normalizer that may take/],
  ["very many steps", sequence(new Array(5000).fill({ type: "NFC" })), /normalizer of 1025 parts/],
  ["1 MB after every word", model({ end_of_word_suffix: LONG }), /end_of_word_suffix of 1000000 characters/],
  ["words of any length", model({ type: "WordPiece", max_input_chars_per_word: 1e9 }), /looks up words of 1000000000/],
])("%s is refused", (_, json, reason) => {
  expect(() => createTokenizer(json, {}, "tokenizer.json")).toThrow(
    expect.objectContaining({
      code: "bad-input",
      reason: expect.stringMatching(reason),
      where: expect.objectContaining({ file: "tokenizer.json" }),
    }),
  );
});

test("steps nested 100,000 deep are refused", () => {
  let normalizer: object = { type: "NFC" };
  for (let i = 0; i < 1e5; i++) normalizer = { type: "Sequence", normalizers: [normalizer] };
  expect(() => createTokenizer(file({ normalizer }))).toThrow(expect.objectContaining({ code: "bad-input" }));
});

test("what Llama, T5 and BERT have is read", () => {
  const llama = sequence([{ type: "Prepend", prepend: "▁" }, replace({ String: " " }, "▁")]);
  expect(createTokenizer(llama).encode("ab a")).toEqual([4, 3, 4]);
  const table = { type: "Precompiled", precompiled_charsmap: "A".repeat(4e5) };
  expect(createTokenizer(sequence([table, replace({ Regex: " {2,}" }, "▁")])).encode("ab")).toEqual([5]);
  const words = { type: "WordPiece", vocab: VOCAB, unk_token: "<unk>", continuing_subword_prefix: "##" };
  expect(createTokenizer(file({ model: words, pre_tokenizer: { type: "WhitespaceSplit" } })).encode("ab x a")).toEqual([
    5, 0, 2,
  ]);
});

test("words: what is unknown has its token, or is said", () => {
  const words = (unk?: string) =>
    createTokenizer(
      file({
        model: { type: "WordLevel", vocab: VOCAB, unk_token: unk },
        pre_tokenizer: { type: "WhitespaceSplit" },
      }),
    );
  expect(words("<unk>").encode("ab x a")).toEqual([5, 0, 2]);
  expect(() => words().encode("ab x a")).toThrow(/'x' is not in the tokenizer's vocabulary/);
});

test("a text that the tokenizer cannot read is an error with its length", () => {
  const pieces = Object.keys(VOCAB).map((piece) => [piece, -1]);
  const unigram = createTokenizer(file({ model: { type: "Unigram", vocab: pieces, unk_id: 0 } }));
  expect(unigram.encode("abab")).toEqual([5, 5]);
  let ids: number[] | undefined;
  try {
    ids = unigram.encode("ab".repeat(200_000));
  } catch (error) {
    expect(error).toMatchObject({ code: "bad-input", reason: expect.stringContaining("400000 characters") });
  }
  if (ids) expect(ids).toHaveLength(200_000);
});

const MODELS = {
  BPE: { ...BPE, vocab: VOCAB },
  "BPE with merges of merges": { ...BPE, vocab: { ...VOCAB, abab: 6, aa: 7 }, merges: ["a b", "ab ab", "a a"] },
  "BPE with a suffix": { ...BPE, end_of_word_suffix: "</w>" },
  Unigram: { type: "Unigram", vocab: Object.keys(VOCAB).map((piece) => [piece, -1]), unk_id: 0 },
  WordPiece: { type: "WordPiece", vocab: VOCAB, unk_token: "<unk>", max_input_chars_per_word: 1024 },
  WordLevel: { type: "WordLevel", vocab: VOCAB, unk_token: "<unk>" },
};

test.each(Object.entries(MODELS))("%s: a long text without a space is read, or is an error", (_, model) => {
  const tokenizer = createTokenizer(file({ model }), {}, "tokenizer.json");
  for (const text of ["ab".repeat(50_000), "a".repeat(100_000), " ".repeat(100_000)]) {
    try {
      expect(tokenizer.encode(text).length).toBeGreaterThan(0);
    } catch (error) {
      expect(error).toMatchObject({ code: "bad-input", reason: expect.stringContaining("100000 characters") });
    }
  }
});

test("a text that takes too long is an error, in Node by any limit, and the tokenizer goes on", () => {
  const slow = file({ pre_tokenizer: { type: "Split", pattern: { Regex: "\\s+$|b" }, behavior: "Isolated" } });
  const text = `${" ".repeat(300_000)}a`;
  const asked: number[] = [];
  const tokenizer = createTokenizer(slow, {}, "tokenizer.json", (ms, work) => {
    asked.push(ms);
    return within(20, work);
  });
  expect(() => tokenizer.encode(text)).toThrow(
    expect.objectContaining({
      code: "bad-input",
      reason: expect.stringMatching(/more than 48\.\d* s for a text of 300001/),
    }),
  );
  expect(asked).toEqual([expect.closeTo(48_000, -2)]);
  expect(tokenizer.encode("ab")).toEqual([2, 3]);
});

test("work within a time: its result, its own error", () => {
  expect(within(60_000, () => within(60_000, () => 7)?.value)).toEqual({ value: 7 });
  const mine = new Error("mine");
  expect(() =>
    within(60_000, () => {
      throw mine;
    }),
  ).toThrow(mine);
});
