/** Prefix caches that survive a restart: a folder for each model in the one that is given. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { restorePrefixes, savePrefixes } from "../../runtime/node.ts";
import type { Served } from "./served.ts";

type OnFault = (error: unknown) => void;

/** Puts into the models' caches what an earlier server saved; what is damaged, or of another model, is named. */
export async function restoreCaches(models: readonly Served[], folder: string, onFault: OnFault): Promise<void> {
  for (const { id, cache } of models) {
    if (!cache) continue;
    // What was said is in it: for its owner alone.
    await mkdir(path.join(folder, id), { recursive: true, mode: 0o700 });
    const { skipped } = await restorePrefixes(cache, path.join(folder, id));
    for (const { file, error } of skipped) onFault(new Error(`${file}: no saved beginning`, { cause: error }));
  }
}

/** Writes what the caches hold; a model whose cache cannot be written keeps no other from it. */
export async function saveCaches(models: readonly Served[], folder: string, onFault: OnFault): Promise<void> {
  for (const { id, cache } of models) if (cache) await savePrefixes(cache, path.join(folder, id)).catch(onFault);
}
