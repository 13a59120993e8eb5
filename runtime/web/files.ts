/** The files of a model in a browser: by URL, kept in Cache Storage, or from the user's disk. */

import { notValid } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import { joinBytes } from "../../src/join-bytes.ts";
import type { Folder } from "../model/folder.ts";
import { throwIfAborted } from "../model/read.ts";

/**
 * A model: the URL of a .onnx file or of a folder; a .onnx file as a File or bytes; or the files of a folder, as the user
 * picked them or by their names in it ("onnx/model.onnx").
 */
export type WebSource = string | URL | Blob | ArrayBuffer | Uint8Array | readonly File[] | ReadonlyMap<string, Blob>;

export interface FileProgress {
  readonly file: string;
  readonly loadedBytes: number;
  /** Undefined where the server does not say it. */
  readonly totalBytes: number | undefined;
  readonly fromCache: boolean;
}

export interface FileOptions {
  /**
   * Name of the Cache Storage that keeps files fetched by URL; false: none. Default "longconv-ssm". At each load the server
   * is asked whether it still has them; where it cannot be reached, they are used as they are.
   */
  readonly cache?: string | false | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: FileProgress) => void) | undefined;
  /** For authorisation headers, say. Default: the global fetch. */
  readonly fetch?: typeof fetch | undefined;
}

/** The files of one model; names are relative to its folder. */
export interface WebFiles extends Folder {
  /** The model's own name where the source is a single file. */
  readonly single: string | undefined;
}

/** The files that a source stands for; nothing is read yet. */
export function webFiles(source: WebSource, options: FileOptions): WebFiles {
  if (typeof source === "string" || source instanceof URL) return filesByUrl(String(source), options);
  if (Array.isArray(source)) return pickedFiles(source, options);
  if (source instanceof Map) return namedFiles("the folder", source, options);
  const file = source as Blob | ArrayBuffer | Uint8Array;
  if (!(file instanceof Blob || file instanceof ArrayBuffer || file instanceof Uint8Array))
    throw notValid("the model", "a URL, a file, files or bytes", file);
  const label = file instanceof Blob && "name" in file ? (file as File).name : "model.onnx";
  return {
    label,
    single: label,
    read: async (name) => (name !== label ? undefined : file instanceof Blob ? bytesOf(file) : asBytes(file)),
  };
}

const bytesOf = async (blob: Blob): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer());

const asBytes = (data: ArrayBuffer | Uint8Array): Uint8Array =>
  data instanceof Uint8Array ? data : new Uint8Array(data);

/** Files picked together: those of a folder have paths that begin with its name. */
function pickedFiles(files: readonly File[], options: FileOptions): WebFiles {
  const pathOf = (file: File) => file.webkitRelativePath || file.name;
  const folder = pathOf(files[0] ?? new File([], "")).split("/")[0]!;
  const isFolder = files.every((file) => pathOf(file).startsWith(`${folder}/`));
  const named = files.map((file): [string, File] => [
    isFolder ? pathOf(file).slice(folder.length + 1) : file.name,
    file,
  ]);
  return namedFiles(isFolder ? folder : "the files", new Map(named), options);
}

function namedFiles(label: string, files: ReadonlyMap<string, Blob>, { signal, onProgress }: FileOptions): WebFiles {
  return {
    label,
    single: undefined,
    async read(name) {
      throwIfAborted(signal);
      const file = files.get(name);
      if (!file) return undefined;
      const bytes = await bytesOf(file);
      onProgress?.({ file: name, loadedBytes: bytes.length, totalBytes: file.size, fromCache: false });
      return bytes;
    },
  };
}

function filesByUrl(given: string, options: FileOptions): WebFiles {
  const base = globalThis.location?.href;
  const url = new URL(given, base);
  const isFile = url.pathname.endsWith(".onnx");
  const folder = isFile ? new URL(".", url) : new URL(url.href.replace(/\/?(\?|#|$)/, "/$1"));
  return {
    label: given,
    single: isFile ? url.pathname.split("/").at(-1)! : undefined,
    read: (name) => fetched(new URL(name, folder), name, options),
  };
}

/**
 * What the server has now: from the cache where that is the same, and what is kept where the server cannot be asked.
 * @throws LongConvError file-missing (not where the file is not there: then undefined), aborted
 */
async function fetched(url: URL, name: string, options: FileOptions): Promise<Uint8Array | undefined> {
  throwIfAborted(options.signal);
  const cache = await cacheOf(options.cache);
  const kept = await cache?.match(url);
  try {
    if (kept && (await isCurrent(kept, url, options))) return await bodyOf(kept, name, true, options);
    const response = await ask("GET", url, options);
    // A server of single-page apps answers a missing file with its page.
    const isPage = response.headers.get("content-type")?.startsWith("text/html") ?? false;
    if (response.status === 404 || response.status === 403 || (response.ok && isPage)) {
      await cache?.delete(url);
      return undefined;
    }
    if (!response.ok) {
      if (kept) return await bodyOf(kept, name, true, options);
      throw new LongConvError("file-missing", `the server answered ${response.status}`, { file: url.href });
    }
    const bytes = await bodyOf(response, name, false, options);
    // Storage may be full or forbidden; the model works all the same.
    await cache?.put(url, keepable(bytes, response.headers)).catch(() => undefined);
    return bytes;
  } catch (error) {
    throwIfAborted(options.signal);
    if (error instanceof LongConvError) throw error;
    const reason = `cannot be fetched: ${(error as Error).message}`;
    throw new LongConvError(
      "file-missing",
      reason,
      { file: url.href },
      "Check the address and its CORS headers.",
      error,
    );
  }
}

/** Past the browser's own cache, which may take a copy for fresh that is not. */
const ask = (method: "GET" | "HEAD", url: URL, options: FileOptions): Promise<Response> =>
  (options.fetch ?? fetch)(url, { method, cache: "no-cache", signal: options.signal ?? null });

/**
 * Whether the server has what is kept, or cannot be reached. HEAD, and not If-None-Match, for which another origin's
 * server would have to be asked for leave first.
 */
async function isCurrent(kept: Response, url: URL, options: FileOptions): Promise<boolean> {
  let answer: Response;
  try {
    answer = await ask("HEAD", url, options);
  } catch {
    throwIfAborted(options.signal);
    return true;
  }
  const same = (name: string) => {
    const [ours, theirs] = [kept, answer].map(({ headers }) => headers.get(name)?.replace(/^W\//, ""));
    return ours && theirs ? ours === theirs : undefined;
  };
  return answer.ok && (VALIDATORS.map(same).find((equal) => equal !== undefined) ?? false);
}

/** What says that a file is the same, the surest first. */
const VALIDATORS = ["etag", "last-modified"];

function keepable(bytes: Uint8Array, from: Headers): Response {
  const headers = new Headers({ "content-length": String(bytes.length) });
  for (const name of VALIDATORS) if (from.has(name)) headers.set(name, from.get(name)!);
  return new Response(bytes as BodyInit, { headers });
}

/** Name of the Cache Storage where nothing else is said. */
const CACHE = "longconv-ssm";

/**
 * Removes the files that `load` has kept.
 * @param name of the Cache Storage, where `load` was given another
 * @returns whether there were any
 */
export async function clearCache(name: string = CACHE): Promise<boolean> {
  return "caches" in globalThis && caches.delete(name);
}

// Cache Storage exists in secure contexts only.
async function cacheOf(name: string | false = CACHE): Promise<Cache | undefined> {
  if (name === false || !("caches" in globalThis)) return undefined;
  return caches.open(name).catch(() => undefined);
}

async function bodyOf(response: Response, file: string, fromCache: boolean, options: FileOptions): Promise<Uint8Array> {
  const stated = Number(response.headers.get("content-length"));
  // The length of a compressed body is not that of its content.
  const totalBytes = stated > 0 && !response.headers.get("content-encoding") ? stated : undefined;
  const parts: Uint8Array[] = [];
  let loadedBytes = 0;
  for (const reader = response.body!.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    throwIfAborted(options.signal);
    parts.push(value);
    loadedBytes += value.length;
    options.onProgress?.({ file, loadedBytes, totalBytes, fromCache });
  }
  return joinBytes(parts);
}
