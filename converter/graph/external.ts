/** Values in files of their own: found, checked and read in part, never the whole file. */
import { closeSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { LongConvError } from "../../src/errors.ts";
import { byteCount } from "./bounds.ts";
import type { ExternalValues } from "./graph.ts";
import type { TensorProto } from "./proto.ts";
import { byteSizeOf } from "./tensor.ts";
import { dimsOf } from "./tensorproto.ts";

const REMEDY = "Put the file that belongs to the model into the model's own folder.";

/**
 * Finds a tensor's external values and checks that they are there.
 * @param folder the model's folder; undefined for a model that was read from memory
 * @throws LongConvError `external-data-missing`, `external-data-short` (fewer bytes than the tensor takes),
 *   `external-data-outside` (an absolute path, `..`, or a symbolic link that leaves the folder), `invalid-graph` (a location, offset or length that is none)
 */
export function locateExternal(proto: TensorProto, file: string, folder: string | undefined): ExternalValues {
  const where = { file: file || undefined, tensor: proto.name || undefined };
  const entries = new Map(proto.externalData?.map((entry) => [entry.key, entry.value]));
  const location = entries.get("location");
  if (!location) throw new LongConvError("external-data-missing", "external data without a location", where, REMEDY);
  if (folder === undefined) {
    const remedy = "Read the model by its path, or give the folder of its data.";
    throw new LongConvError("external-data-missing", `'${location}' is a file beside the model`, where, remedy);
  }
  const outside = () =>
    new LongConvError("external-data-outside", `external data '${location}' leaves the model's folder`, where, REMEDY);
  if (location.includes("\0"))
    throw new LongConvError("invalid-graph", `external data ${JSON.stringify(location)} is no name of a file`, where);
  if (path.posix.isAbsolute(location) || path.win32.isAbsolute(location)) throw outside();
  if (location.split(/[/\\]/).includes("..")) throw outside();
  const target = path.join(folder, location);
  const stat = statSync(target, { throwIfNoEntry: false });
  if (!stat?.isFile())
    throw new LongConvError("external-data-missing", `external data '${location}' not found`, where, REMEDY);
  const relative = path.relative(realpathSync(folder), realpathSync(target));
  if (relative.split(path.sep)[0] === ".." || path.isAbsolute(relative)) throw outside();

  const offset = byteCount("offset", entries.get("offset") ?? "0", proto.name);
  const expected = byteSizeOf(proto.dataType ?? 0, dimsOf(proto));
  const length = byteCount("length", entries.get("length") ?? String(expected), proto.name);
  if (length !== expected) {
    const reason = `external data takes ${expected} bytes, the model says ${length} from offset ${offset}`;
    throw new LongConvError("invalid-graph", reason, where);
  }
  if (offset + length > stat.size) {
    const reason = `external data '${location}' ends at ${stat.size} bytes, the tensor at ${offset + length}`;
    throw new LongConvError("external-data-short", reason, where, "Fetch the file again; it is incomplete.");
  }
  return { path: target, offset, length };
}

/**
 * Reads external values, or a part of them.
 * @param start bytes from the start of the values
 * @throws LongConvError `external-data-missing`, `external-data-short` if the file changed since the model was read
 */
export function readExternal(values: ExternalValues, start = 0, length = values.length - start): Uint8Array {
  const bytes = new Uint8Array(length);
  let file: number;
  try {
    file = openSync(values.path, "r");
  } catch (cause) {
    throw new LongConvError(
      "external-data-missing",
      "external data cannot be opened",
      { file: values.path },
      REMEDY,
      cause,
    );
  }
  try {
    for (let done = 0; done < length; ) {
      const got = readSync(file, bytes, done, Math.min(length - done, 2 ** 30), values.offset + start + done);
      if (got === 0) throw new LongConvError("external-data-short", "external data ended early", { file: values.path });
      done += got;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}
