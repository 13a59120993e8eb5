/** A transformer as the usual tools export it, its cache of keys and values in and out. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import { ROOT } from "../root.ts";

/** Of its layers and their width; words of its vocabulary. */
export interface TransformerSize {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly words: number;
}

/** Exports one with random weights; `python` has torch, transformers, onnxscript and onnxruntime. */
export function exportTransformer(
  python: string,
  file: string,
  { width, layers, heads, words }: TransformerSize,
): void {
  const program = path.join(ROOT, "scripts", "bench", "transformer.py");
  const sizes = [width, layers, heads, words].map(String);
  const { status, stderr, error } = spawnSync(python, [program, file, ...sizes], { encoding: "utf8" });
  if (status !== 0) throw error ?? new Error(stderr);
}
