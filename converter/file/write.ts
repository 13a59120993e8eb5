/** Writes ONNX files whole or not at all; large weights go to one file beside. */

import { existsSync, realpathSync, statSync } from "node:fs";
import { rename } from "node:fs/promises";
import path from "node:path";
import { checkArguments } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Model } from "../graph/graph.ts";
import { contentName, dataFilesOf, recordDataFiles } from "../place/data-files.ts";
import { move, type Staging, stage } from "../place/staging.ts";
import { initializerBytes } from "./encode.ts";
import { type ModelFile, writeFiles } from "./write-files.ts";

export { encodeModel } from "./encode.ts";

export interface WriteOptions {
  /** Overwrite existing files; default false. */
  readonly force?: boolean;
  /** Weights in a file of their own; default "auto": when they take more than 1.5 GB. */
  readonly externalData?: "auto" | "always" | "never";
  /** Stops the writing; nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
}

export interface NewModelOptions extends Omit<WriteOptions, "force"> {
  /** Name of the file of weights. */
  readonly dataFile: string;
  /** More models that read the same file of weights: their own weights are only added to it where they differ. */
  readonly sharing?: readonly ModelFile[] | undefined;
}

const AUTO_EXTERNAL_BYTES = 1.5e9;

/**
 * Writes a model to `file`, and with external data its weights beside it, to `NAME.HASH.onnx_data` by their content. Both
 * are written in a hidden folder beside their place, then renamed, the model last: at every moment the old model or the
 * new one is there, each with its weights. Weights of the old model that no other names are removed then.
 * @returns paths of the files that were written, the model last
 * @throws LongConvError `file-exists` (also, whatever `force` says, where the model still reads its own weights from a
 *   file that would be overwritten or removed), `file-unwritable`, `aborted`
 */
export async function writeModel(model: Model, file: string, options: WriteOptions = {}): Promise<readonly string[]> {
  checkArguments({ model: ["model", model], file: ["path", file], options: ["options", options] });
  return placeModel(model, file, options);
}

/**
 * {@link writeModel}, with a last look.
 * @param look is given the path of the new file, its weights beside it, before anything takes its place; what it throws stops that
 */
export async function placeModel(
  model: Model,
  file: string,
  options: WriteOptions,
  look?: (staged: string) => Promise<void>,
): Promise<readonly string[]> {
  const { force = false, externalData = "auto", signal } = options;
  const beside = (name: string) => path.join(path.dirname(file), name);
  let staging: Staging | undefined;
  try {
    refuseFolder(file);
    if (!force) refuseExisting(file);
    const superseded = dataFilesOf(file);
    refuseOwnData(model, [file, ...superseded]);
    staging = await stage(file);
    const [graph, data] = ["model", "data"].map((name) => path.join(staging!.folder, name)) as [string, string];
    const outside = isExternal(model, externalData)
      ? { file: data, location: (sha256: string) => contentName(file, sha256) }
      : undefined;
    const name = await writeFiles([{ model, file: graph }], outside, signal);
    const names = name === undefined ? [] : [name];
    await recordDataFiles(staging.folder, [...names, ...superseded.map((each) => path.basename(each))]);
    const staged = (each: string) => path.join(staging!.folder, each);
    for (const each of names) await rename(data, staged(each));
    await look?.(graph);
    for (const each of names) await move(staged(each), beside(each));
    await move(graph, file);
    return [...names.map(beside), file];
  } catch (cause) {
    throw asWriteError(cause, file);
  } finally {
    await staging?.remove();
  }
}

/**
 * Writes a model into a folder that is new, where nobody looks yet: under its name, with nothing to put in its place.
 * @throws LongConvError `file-unwritable` (also where one of the files exists), `aborted`
 */
export async function writeNewModel(model: Model, file: string, options: NewModelOptions): Promise<void> {
  const { externalData = "auto", sharing = [], signal, dataFile } = options;
  const outside = externalData === "auto" ? sharing.length > 0 || isExternal(model, "auto") : externalData === "always";
  const data = outside ? { file: path.join(path.dirname(file), dataFile), location: dataFile } : undefined;
  try {
    await writeFiles([...sharing, { model, file }], data, signal);
  } catch (cause) {
    throw asWriteError(cause, file);
  }
}

const isExternal = (model: Model, when: "auto" | "always" | "never"): boolean =>
  when === "always" || (when === "auto" && initializerBytes(model) > AUTO_EXTERNAL_BYTES);

function refuseOwnData(model: Model, targets: readonly string[]): void {
  const own = new Set<string>();
  for (const { external } of model.graph.initializers.values()) if (external) own.add(external.path);
  const real = new Set([...own].map(realOf));
  for (const target of targets) {
    if (!real.has(realOf(target))) continue;
    const reason = "the model still reads its weights from this file";
    throw new LongConvError("file-exists", reason, { file: target }, "Write to another path.");
  }
}

/** Its real path; that of a file which is gone, or not there yet, is its own. */
function realOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}

function refuseExisting(file: string): void {
  if (!existsSync(file)) return;
  throw new LongConvError("file-exists", "exists already", { file }, "Use `force` to overwrite it.");
}

function refuseFolder(file: string): void {
  if (!statSync(file, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new LongConvError("file-exists", "is a folder", { file }, "Give the path of a file.");
}

function asWriteError(cause: unknown, file: string): unknown {
  if (cause instanceof LongConvError) return cause;
  if ((cause as Error).name === "AbortError") {
    return new LongConvError("aborted", "stopped; nothing was written", { file }, undefined, cause);
  }
  const code = (cause as NodeJS.ErrnoException).code;
  if (!code) return cause;
  const reason = code === "ENOSPC" ? "the disk is full; nothing was written" : `cannot be written (${code})`;
  return new LongConvError(
    "file-unwritable",
    reason,
    { file },
    "Choose a folder that can be written and has room.",
    cause,
  );
}
