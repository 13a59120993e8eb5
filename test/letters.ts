/** A language model of letters, small enough to be made in a moment, in a folder with its tokenizer. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { tinyModel, tinyWeights } from "./tiny-model.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyz ";

/** Writes it as `convert` lays out a folder: each letter is a token. */
export function writeLetters(folder: string): void {
  mkdirSync(path.join(folder, "onnx"), { recursive: true });
  const weights = tinyWeights({ vocabulary: LETTERS.length });
  writeFileSync(path.join(folder, "onnx/model.onnx"), tinyModel(weights, { mask: true }));
  const vocab = Object.fromEntries([...LETTERS].map((letter, id) => [letter, id]));
  const tokenizer = {
    model: { type: "WordLevel", vocab, unk_token: " " },
    pre_tokenizer: { type: "Split", pattern: { Regex: "." }, behavior: "Isolated", invert: false },
    decoder: { type: "Fuse" },
    normalizer: null,
    post_processor: null,
    added_tokens: [],
  };
  writeFileSync(path.join(folder, "config.json"), JSON.stringify({ vocab_size: LETTERS.length }));
  writeFileSync(path.join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
}
