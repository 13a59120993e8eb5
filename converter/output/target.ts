/** Where the output goes, and whether it may: nothing of the source, and nothing that is not ours, is ever replaced. */

import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { checkArguments } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Model } from "../graph/graph.ts";
import { clearLeftovers } from "../place/staging.ts";
import { nameIn, writtenIn } from "./mark.ts";

/** A single .onnx file, or a folder as model hubs lay it out. */
export interface Target {
  readonly kind: "file" | "folder";
  readonly path: string;
}

/** A path that ends in .onnx is a file, any other a folder. */
export function targetOf(out: string): Target {
  checkArguments({ out: ["path", out] });
  return { kind: /\.onnx$/i.test(out) ? "file" : "folder", path: out };
}

/** Every file that a model is made of: itself and its external data. */
export function filesOf(model: Model): string[] {
  const files = new Set([model.file]);
  for (const { external } of model.graph.initializers.values()) if (external) files.add(external.path);
  return [...files];
}

/**
 * Says early whether the output can be written. What killed processes left of writing it is taken away first.
 * @param inputs files that are read and must stay as they are
 * @throws LongConvError file-exists where something is there that is not to be replaced; file-unwritable where the
 *   parent folder is missing
 */
export function refuseTarget(target: Target, inputs: readonly string[], force: boolean): void {
  const file = target.path;
  const parent = path.dirname(path.resolve(file));
  if (!statSync(parent, { throwIfNoEntry: false })?.isDirectory()) {
    throw new LongConvError("file-unwritable", `its folder '${parent}' does not exist`, { file }, "Create it first.");
  }
  clearLeftovers(file);
  // Asked once: it may go at any moment.
  const there = statSync(file, { throwIfNoEntry: false });
  if (!there) return;
  refuseInputs(target, inputs);
  const isFolder = there.isDirectory();
  if (target.kind === "file") {
    if (isFolder) throw new LongConvError("file-exists", "is a folder", { file }, "Give the path of a file.");
    if (!force) throw exists(file);
    return;
  }
  if (!isFolder) {
    const remedy = "Give a path that ends in .onnx for a single file, else the path of a folder.";
    throw new LongConvError("file-exists", "is a file, not a folder", { file }, remedy);
  }
  if (namesIn(file).length === 0) return;
  if (!force) throw exists(file);
  refuseForeign(file);
}

const exists = (file: string) =>
  new LongConvError("file-exists", "exists already", { file }, "Use `force` to replace it.");

function refuseInputs({ kind, path: file }: Target, inputs: readonly string[]): void {
  const identity = (each: string) => {
    const stat = statSync(each, { throwIfNoEntry: false });
    return stat && `${stat.dev}:${stat.ino}`;
  };
  const inside = (each: string) => path.relative(realOf(file), realOf(each)).split(path.sep)[0] !== "..";
  for (const input of inputs.filter((each) => identity(each) !== undefined)) {
    if (identity(input) !== identity(file) && !(kind === "folder" && inside(input))) continue;
    const what = identity(input) === identity(file) ? "is" : "contains";
    const reason = `${what} '${input}', which is read; an input is never overwritten, also not with \`force\``;
    throw new LongConvError("file-exists", reason, { file }, "Write to another path.");
  }
}

const realOf = (file: string): string => orGone(() => realpathSync(file), path.resolve(file));

const namesIn = (folder: string): string[] => orGone(() => readdirSync(folder), []);

/** What is asked of a file or folder, or something else where it has gone meanwhile. */
function orGone<T>(ask: () => T, gone: T): T {
  try {
    return ask();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return gone;
    throw cause;
  }
}

/** A folder is replaced only where we wrote it and nobody added to it. */
function refuseForeign(folder: string): void {
  const remedy = "Choose another folder, or remove it yourself.";
  const written = writtenIn(folder);
  if (!written) {
    if (!statSync(folder, { throwIfNoEntry: false })) return;
    const reason = "is a folder that was not written by longconv-ssm, so it is not replaced, also not with `force`";
    throw new LongConvError("file-exists", reason, { file: folder }, remedy);
  }
  const foreign = orGone(() => readdirSync(folder, { recursive: true, withFileTypes: true }), [])
    .filter((entry) => !entry.isDirectory())
    .map((entry) => nameIn(folder, entry))
    // what was deleted meanwhile is no longer ours to keep
    .find((name) => !written(name) && existsSync(path.join(folder, name)));
  if (foreign === undefined) return;
  const reason = `contains '${foreign}', which longconv-ssm did not write, so it is not replaced, also not with \`force\``;
  throw new LongConvError("file-exists", reason, { file: folder }, remedy);
}
