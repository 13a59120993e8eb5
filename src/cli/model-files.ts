/** Which files a model file brings with it: its weights, and the configuration of the folder that it belongs to. */
import { existsSync } from "node:fs";
import path from "node:path";
import { readModel } from "../../converter/file/read.ts";
import { filesOf } from "../../converter/output/target.ts";
import { stepFileOf } from "../../runtime/sessions/two-sessions.ts";
import { TEMPLATE_FILE } from "../chat-template.ts";
import type { ModelFiles } from "../serve/options.ts";

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

/**
 * What a page needs to run a model itself: the model, its file for one token, the data of both, and what its folder says of it.
 * @throws LongConvError what `readModel` throws
 */
export async function filesGiven(modelFile: string): Promise<ModelFiles> {
  const folder = configuredFolder(modelFile) ?? path.dirname(path.resolve(modelFile));
  const models = [path.resolve(modelFile), stepFileOf(path.resolve(modelFile))].filter((file) => existsSync(file));
  const ofModels = (await Promise.all(models.map(async (file) => filesOf(await readModel(file))))).flat();
  const beside = [...CONFIGURATION, TEMPLATE_FILE]
    .map((name) => path.join(folder, name))
    .filter((file) => existsSync(file));
  const nameOf = (file: string) => path.relative(folder, path.resolve(file)).replaceAll(path.sep, "/");
  return { modelFile: nameOf(modelFile), paths: new Map([...ofModels, ...beside].map((file) => [nameOf(file), file])) };
}
