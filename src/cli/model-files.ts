/** Which files a model file brings with it: its weights, and the configuration of the folder that it belongs to. */
import { existsSync } from "node:fs";
import path from "node:path";

/** What a model hub's folder says of its model. */
const CONFIGURATION = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];

/** Where a model's configuration may lie: in its own folder and, where that is onnx/, in the one above. */
export function foldersOf(modelFile: string): string[] {
  const folder = path.dirname(path.resolve(modelFile));
  return path.basename(folder) === "onnx" ? [folder, path.dirname(folder)] : [folder];
}

/** The nearest of them that has any; undefined for a file on its own. */
export const configuredFolder = (modelFile: string): string | undefined =>
  foldersOf(modelFile).find((folder) => CONFIGURATION.some((name) => existsSync(path.join(folder, name))));
