/** Writes ONNX files whole or not at all; large weights go to one file beside, streamed tensor by tensor. */
import { createHash, type Hash } from "node:crypto";
import { existsSync, realpathSync, statSync } from "node:fs";
import fs, { type FileHandle } from "node:fs/promises";
import path from "node:path";
import type { onnx } from "onnx-proto";
import { LongConvError } from "../../src/errors.ts";
import { contentName, dataFilesOf, recordDataFiles } from "../files/data-files.ts";
import { move, type Staging, stage } from "../files/staging.ts";
import { embedded, initializerBytes, modelToProto, named, sizeOf } from "./encode.ts";
import { readExternal } from "./external.ts";
import type { Initializer, Model } from "./graph.ts";
import { encodedPieces } from "./pieces.ts";
import { encodeMessage, withFields } from "./schema.ts";
import { DataType } from "./tensor.ts";

export { encodeModel } from "./encode.ts";

export interface WriteOptions {
  /** Overwrite existing files; default false. */
  readonly force?: boolean;
  /** Weights in a file of their own; default "auto": when they take more than 1.5 GB. */
  readonly externalData?: "auto" | "always" | "never";
  /**
   * Name of the file of weights, which must not exist, also with `force`. Default: `NAME.HASH.onnx_data`, by its content,
   * so that the model's rename alone replaces model and weights.
   */
  readonly dataFile?: string | undefined;
  /** More models that read the same file of weights: their own weights are only added to it where they differ. */
  readonly sharing?: readonly { readonly model: Model; readonly file: string }[] | undefined;
  /** Stops the writing; nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
}

const AUTO_EXTERNAL_BYTES = 1.5e9;
/** Smaller tensors stay in the model file: shape inference reads them, and a page of alignment would cost more. */
const MIN_EXTERNAL_BYTES = 1024;
const ALIGNMENT_BYTES = 64;
const CHUNK_BYTES = 64 * 2 ** 20;

/**
 * Writes a model to `file`, and with external data a file of weights beside it. Both are written in a hidden folder
 * beside their place, then renamed, the model last: at every moment the old model or the new one is there, each with its
 * weights. Weights of the old model that no other names are removed then.
 * @returns paths of the files that were written, the model last
 * @throws LongConvError `file-exists` (also, whatever `force` says, where the model still reads its own weights from a
 *   file that would be overwritten or removed), `file-unwritable`, `aborted`
 */
export async function writeModel(model: Model, file: string, options: WriteOptions = {}): Promise<readonly string[]> {
  const { force = false, externalData = "auto", sharing = [], signal, dataFile } = options;
  const all = [...sharing, { model, file }];
  const external =
    externalData === "always" ||
    (externalData === "auto" && (sharing.length > 0 || initializerBytes(model) > AUTO_EXTERNAL_BYTES));
  const beside = (name: string) => path.join(path.dirname(file), name);
  const fixed = external && dataFile !== undefined ? [beside(dataFile)] : [];
  const graphs = all.map((each) => each.file);
  let staging: Staging | undefined;
  try {
    refuseFolders([...graphs, ...fixed]);
    refuseExisting(force ? fixed : [...graphs, ...fixed]);
    const superseded = graphs.flatMap(dataFilesOf);
    for (const each of all) refuseOwnData(each.model, [...graphs, ...fixed, ...superseded]);
    staging = await stage(file);
    const { folder } = staging;
    const moves: { from: string; to: string }[] = [];
    const places = external
      ? layoutExternal(initializersOf(all.map((each) => each.model)), sharing.length > 0)
      : new Map<Initializer, Place>();
    let location = "";
    if (external) {
      const hash = dataFile === undefined ? createHash("sha256") : undefined;
      await writeWhole(path.join(folder, "data"), (handle) => writeData(handle, places, hash, signal));
      location = hash ? contentName(file, hash.digest("hex")) : dataFile!;
      moves.push({ from: path.join(folder, "data"), to: beside(location) });
    }
    for (const [i, { model: each, file: to }] of all.entries()) {
      const from = path.join(folder, `${i}.onnx`);
      await writeWhole(from, async (handle) => {
        if (!external) return writePieces(handle, each, signal);
        const outside = (initializer: Initializer) => externalProto(initializer, places.get(initializer), location);
        await writeAt(handle, encodeMessage("ModelProto", modelToProto(each, outside)), 0, signal);
      });
      moves.push({ from, to });
    }
    const ours = external ? [location] : [];
    await recordDataFiles(folder, [...ours, ...superseded.map((each) => path.basename(each))]);
    for (const { from, to } of moves) await move(from, to);
    return moves.map(({ to }) => to);
  } catch (cause) {
    throw asWriteError(cause, file);
  } finally {
    await staging?.remove();
  }
}

/** Bytes of the data file. */
interface Place {
  readonly offset: number;
  readonly length: number;
}

function* initializersOf(models: readonly Model[]): Generator<Initializer> {
  for (const { graph } of models) yield* graph.initializers.values();
}

/**
 * Where each initializer that goes to the data file lies in it: aligned to 64 bytes, in the order of the graph.
 * @param share initializers with the same bytes lie in the same place
 */
export function layoutExternal(initializers: Iterable<Initializer>, share = false): Map<Initializer, Place> {
  const places = new Map<Initializer, Place>();
  const known = new Map<string, Place>();
  let end = 0;
  for (const initializer of initializers) {
    const length = sizeOf(initializer);
    if (length < MIN_EXTERNAL_BYTES || initializer.type === DataType.STRING) continue;
    const key = share ? contentOf(initializer, length) : initializer.name;
    const place = (share && known.get(key)) || { offset: Math.ceil(end / ALIGNMENT_BYTES) * ALIGNMENT_BYTES, length };
    known.set(key, place);
    places.set(initializer, place);
    end = Math.max(end, place.offset + length);
  }
  return places;
}

/** Names the bytes: by their place where they lie in a file already, else by their SHA-256. */
function contentOf(initializer: Initializer, length: number): string {
  const { external } = initializer;
  if (external) return `${external.path}:${external.offset}:${length}`;
  return createHash("sha256").update(initializer.bytes()).digest("hex");
}

function externalProto(initializer: Initializer, place: Place | undefined, location: string): onnx.ITensorProto {
  if (!place) return embedded(initializer);
  const entries = { location, offset: place.offset, length: place.length };
  const externalData = Object.entries(entries).map(([key, value]) => ({ key, value: String(value) }));
  // Typed fields must be empty, or the values would be there twice.
  const empty = { floatData: [], int32Data: [], int64Data: [], doubleData: [], uint64Data: [] };
  const proto = withFields(named(initializer), { ...empty, dataLocation: 1, externalData });
  delete proto.rawData;
  return proto;
}

async function writeData(
  handle: FileHandle,
  places: ReadonlyMap<Initializer, Place>,
  hash: Hash | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const written = new Set<number>();
  let end = 0;
  const write = async (bytes: Uint8Array, at: number) => {
    hash?.update(new Uint8Array(at - end)).update(bytes);
    end = at + bytes.length;
    await writeAt(handle, bytes, at, signal);
  };
  for (const [initializer, { offset, length }] of places) {
    if (written.has(offset)) continue;
    written.add(offset);
    const { external } = initializer;
    if (!external) {
      await write(initializer.bytes(), offset);
      continue;
    }
    for (let start = 0; start < length; start += CHUNK_BYTES) {
      const chunk = readExternal(external, start, Math.min(CHUNK_BYTES, length - start));
      await write(chunk, offset + start);
    }
  }
}

async function writePieces(handle: FileHandle, model: Model, signal: AbortSignal | undefined): Promise<void> {
  let at = 0;
  for (const piece of encodedPieces(model)) {
    await writeAt(handle, piece.bytes(), at, signal);
    at += piece.length;
  }
}

async function writeAt(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    signal?.throwIfAborted();
    const length = Math.min(CHUNK_BYTES, bytes.length - done);
    done += (await handle.write(bytes, done, length, position + done)).bytesWritten;
  }
  signal?.throwIfAborted();
}

async function writeWhole(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await fs.open(file, "wx");
  try {
    await write(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

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

function refuseExisting(targets: readonly string[]): void {
  const target = targets.find((each) => existsSync(each));
  if (target === undefined) return;
  throw new LongConvError("file-exists", "exists already", { file: target }, "Use --force to overwrite it.");
}

function refuseFolders(targets: readonly string[]): void {
  for (const file of targets) {
    if (!statSync(file, { throwIfNoEntry: false })?.isDirectory()) continue;
    throw new LongConvError("file-exists", "is a folder", { file }, "Give the path of a file.");
  }
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
