/** The bytes of models on a disk, under names that are free: tensors one by one, large ones in a file of their own. */
import { createHash, type Hash } from "node:crypto";
import fs, { type FileHandle } from "node:fs/promises";
import { readExternal } from "../graph/external.ts";
import type { Initializer, Model } from "../graph/graph.ts";
import type { TensorProto } from "../graph/proto.ts";
import { encodeMessage, withFields } from "../graph/schema.ts";
import { DataType } from "../graph/tensor.ts";
import { embedded, modelToProto, named, sizeOf } from "./encode.ts";
import { encodedPieces } from "./pieces.ts";

/** A model, and the path of its file. */
export interface ModelFile {
  readonly model: Model;
  readonly file: string;
}

/** Where the weights go, and the name by which the models find them, which may be made of their SHA-256. */
export interface DataFile {
  readonly file: string;
  readonly location: string | ((sha256: string) => string);
}

/** Smaller tensors stay in the model file: shape inference reads them, and a page of alignment would cost more. */
const MIN_EXTERNAL_BYTES = 1024;
const ALIGNMENT_BYTES = 64;
/** Of a copy, at a time. */
const CHUNK_BYTES = 8 * 2 ** 20;

/**
 * Writes models to new files, synced; weights of several models that are equal are there once.
 * @param data undefined: the weights go into the models' files
 * @returns the name by which the models find their weights
 * @throws the system's errors, and what the signal was aborted with
 */
export async function writeFiles(
  models: readonly ModelFile[],
  data: DataFile | undefined,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (!data) {
    for (const { model, file } of models) await writeWhole(file, (handle) => writePieces(handle, model, signal));
    return undefined;
  }
  const places = layoutExternal(initializersOf(models), models.length > 1);
  const hash = typeof data.location === "string" ? undefined : createHash("sha256");
  await writeWhole(data.file, (handle) => writeData(handle, places, hash, signal));
  const location = typeof data.location === "string" ? data.location : data.location(hash!.digest("hex"));
  const outside = (initializer: Initializer) => externalProto(initializer, places.get(initializer), location);
  for (const { model, file } of models) {
    const bytes = encodeMessage("ModelProto", modelToProto(model, outside));
    await writeWhole(file, (handle) => writeAt(handle, bytes, 0, signal));
  }
  return location;
}

/** Bytes of the data file. */
interface Place {
  readonly offset: number;
  readonly length: number;
}

function* initializersOf(models: readonly ModelFile[]): Generator<Initializer> {
  for (const { model } of models) yield* model.graph.initializers.values();
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

function externalProto(initializer: Initializer, place: Place | undefined, location: string): TensorProto {
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
