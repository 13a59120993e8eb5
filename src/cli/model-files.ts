/** Which files a model file brings with it: its weights, and the configuration of the folder that it belongs to. */
import { existsSync } from "node:fs";
import path from "node:path";
import { readModel } from "../../converter/file/read.ts";
import { filesOf } from "../../converter/output/target.ts";

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

/**
 * Every file that a command may read for a model: itself, its external data, and the configuration beside it.
 * @throws LongConvError what `readModel` throws
 */
export async function filesRead(modelFile: string): Promise<string[]> {
  const names = [...CONFIGURATION, "training.json"];
  const beside = foldersOf(modelFile).flatMap((folder) => names.map((name) => path.join(folder, name)));
  return [...filesOf(await readModel(modelFile)), ...beside.filter((file) => existsSync(file))];
}
