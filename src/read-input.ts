/** Files that a caller names: a device never ends, what is read is bounded, and a pipe is only waited for while somebody writes. */
import { closeSync, constants, openSync, readSync, type Stats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { LongConvError } from "./errors.ts";

/** No text is longer: JavaScript's own end is at twice as much. */
export const MOST_TEXT_BYTES = 2 ** 28;
/** What Node reads at once. */
const MOST_BYTES = 2 ** 31 - 1;

export interface ReadInputOptions {
  /** Default: 2 GB. */
  readonly mostBytes?: number;
  /** Whether it may come through a pipe. Default false. */
  readonly pipe?: boolean;
}

/**
 * All that is in a file.
 * @throws LongConvError file-missing where it cannot be read, bad-input for a device, and for a pipe where none may be or nobody
 *   writes; too-large beyond `mostBytes`
 */
export async function readInput(
  file: string,
  { mostBytes = MOST_BYTES, pipe = false }: ReadInputOptions = {},
): Promise<Buffer> {
  const found = await reading(file, stat(file));
  if (found.isFile()) {
    if (found.size > mostBytes) throw tooLarge(mostBytes, file);
    return reading(file, readFile(file));
  }
  if (found.isDirectory()) throw new LongConvError("file-missing", "is a folder", { file }, "Give the path of a file.");
  if (pipe && found.isFIFO()) return readPipe(file, mostBytes);
  throw new LongConvError("bad-input", `is a ${kindOf(found)}, and no file`, { file }, "Give the path of a file.");
}

/**
 * All that comes through a stream.
 * @throws LongConvError too-large
 */
export async function readStream(stream: AsyncIterable<Buffer>, name: string, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw tooLarge(mostBytes, name);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function reading<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const reason = `cannot be read (${(cause as NodeJS.ErrnoException).code})`;
    throw new LongConvError("file-missing", reason, { file }, "Check the path.", cause);
  }
}

const kindOf = (found: Stats): string => (found.isFIFO() ? "pipe" : found.isSocket() ? "socket" : "device");

const tooLarge = (mostBytes: number, file: string): LongConvError =>
  new LongConvError("too-large", `has more than ${mostBytes} bytes, the most that are read of it`, { file });

/** How often a pipe is looked at, and how long one is that nobody has opened to write. */
const LOOK_MS = 5;
const NOBODY_MS = 5000;

/** To open a pipe as a file would wait, without an end, for whoever writes into it. */
async function readPipe(file: string, mostBytes: number): Promise<Buffer> {
  const pipe = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return await readStream(chunksOf(pipe, file), file, mostBytes);
  } finally {
    closeSync(pipe);
  }
}

async function* chunksOf(pipe: number, file: string): AsyncGenerator<Buffer> {
  let someone = false;
  for (let waited = 0; someone || waited < NOBODY_MS; waited += LOOK_MS) {
    const chunk = readNow(pipe);
    // its end is the same as nobody, until somebody has been there
    if (chunk?.length === 0 && someone) return;
    someone ||= chunk?.length !== 0;
    if (chunk?.length) yield chunk;
    else await delay(LOOK_MS);
  }
  const reason = "is a pipe that nobody writes into";
  throw new LongConvError("bad-input", reason, { file }, "Start what writes into it first.");
}

/** What is there; empty where nobody writes, undefined where somebody has not written yet. */
function readNow(pipe: number): Buffer | undefined {
  const chunk = Buffer.alloc(2 ** 16);
  try {
    return chunk.subarray(0, readSync(pipe, chunk));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    return undefined;
  }
}
