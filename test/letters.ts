/** A language model of letters, small enough to be made in a moment, in a folder with its tokenizer. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { tinyModel, tinyWeights } from "./tiny-model.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyz ";

/** A converted model in the place of the one of letters, and how many tokens it has. */
export interface OtherModel {
  readonly model: Uint8Array;
  readonly vocabulary: number;
}

/** Writes it as `convert` lays out a folder: each letter is a token, and each digit of what has more. */
export function writeLetters(folder: string, other?: OtherModel): void {
  mkdirSync(path.join(folder, "onnx"), { recursive: true });
  const letters = `${LETTERS}0123456789`.slice(0, other?.vocabulary ?? LETTERS.length);
  const model = other?.model ?? tinyModel(tinyWeights({ vocabulary: letters.length }), { mask: true });
  writeFileSync(path.join(folder, "onnx/model.onnx"), model);
  const vocab = Object.fromEntries([...letters].map((letter, id) => [letter, id]));
  const tokenizer = {
    model: { type: "WordLevel", vocab, unk_token: " " },
    pre_tokenizer: { type: "Split", pattern: { Regex: "." }, behavior: "Isolated", invert: false },
    decoder: { type: "Fuse" },
    normalizer: null,
    post_processor: null,
    added_tokens: [],
  };
  writeFileSync(path.join(folder, "config.json"), JSON.stringify({ vocab_size: letters.length }));
  writeFileSync(path.join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
}
