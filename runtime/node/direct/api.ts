/**
 * ONNX Runtime's C API, called from JavaScript: the library that onnxruntime-node brings along, through koffi.
 *
 * `OrtApi` is a struct of function pointers to which every version appends and in which nothing moves, so a function is
 * known by its place (onnxruntime_c_api.h). All but the Release functions return a status: null, or an error to be freed.
 */
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { openKoffi } from "../../../src/koffi.ts";
import "../../../src/no-telemetry.ts";
import { threadEnd } from "./thread-end.ts";

/** What a C function takes: numbers, addresses, text, and arrays, which it reads and writes where they are. */
export type Argument = number | bigint | string | null | NodeJS.ArrayBufferView;

const FUNCTIONS = {
  CreateEnv: [3, "void *(int level, const char *name, void *env)"],
  CreateSession: [7, "void *(void *env, const char *path, void *options, void *session)"],
  CreateSessionFromArray: [8, "void *(void *env, void *model, size_t bytes, void *options, void *session)"],
  Run: [
    9,
    "void *(void *session, void *options, void *in_names, void *inputs, size_t in, void *out_names, size_t out, void *outputs)",
  ],
  CreateSessionOptions: [10, "void *(void *options)"],
  SetSessionLogSeverityLevel: [22, "void *(void *options, int level)"],
  SetSessionGraphOptimizationLevel: [23, "void *(void *options, int level)"],
  SetIntraOpNumThreads: [24, "void *(void *options, int threads)"],
  SetInterOpNumThreads: [25, "void *(void *options, int threads)"],
  SessionGetInputCount: [30, "void *(void *session, void *count)"],
  SessionGetOutputCount: [31, "void *(void *session, void *count)"],
  SessionGetInputTypeInfo: [33, "void *(void *session, size_t index, void *info)"],
  SessionGetOutputTypeInfo: [34, "void *(void *session, size_t index, void *info)"],
  SessionGetInputName: [36, "void *(void *session, size_t index, void *allocator, void *name)"],
  SessionGetOutputName: [37, "void *(void *session, size_t index, void *allocator, void *name)"],
  CreateTensorWithDataAsOrtValue: [
    49,
    "void *(void *memory, void *data, size_t bytes, void *dims, size_t rank, int type, void *value)",
  ],
  GetTensorMutableData: [51, "void *(void *value, void *data)"],
  CastTypeInfoToTensorInfo: [55, "void *(void *info, void *tensor)"],
  GetTensorElementType: [60, "void *(void *tensor, void *type)"],
  GetDimensionsCount: [61, "void *(void *tensor, void *rank)"],
  GetDimensions: [62, "void *(void *tensor, void *dims, size_t rank)"],
  GetSymbolicDimensions: [63, "void *(void *tensor, void *names, size_t rank)"],
  GetTensorTypeAndShape: [65, "void *(void *value, void *tensor)"],
  CreateCpuMemoryInfo: [69, "void *(int allocator, int kind, void *memory)"],
  AllocatorFree: [76, "void *(void *allocator, void *memory)"],
  GetAllocatorWithDefaultOptions: [78, "void *(void *allocator)"],
} as const;
const MESSAGE_OF_STATUS = 2;
const RELEASE = { Status: 93, Session: 95, Value: 96, TypeInfo: 98, TensorTypeAndShapeInfo: 99, SessionOptions: 100 };
/** The version of the struct that is asked for: every later library has it, and these functions are in it. */
const API_VERSION = 14;
const LAST_FUNCTION = RELEASE.SessionOptions;

export interface Api {
  /** Calls a function; @throws Error with ONNX Runtime's message */
  call(name: keyof typeof FUNCTIONS, ...args: Argument[]): void;
  /** Calls a function whose last argument is the address of a result as wide as an address; returns the result. */
  get(name: keyof typeof FUNCTIONS, ...args: Argument[]): bigint;
  release(what: keyof typeof RELEASE, address: bigint): void;
  /** As {@link get}; the session is released with its thread, should nobody do so before. */
  open(name: "CreateSession" | "CreateSessionFromArray", ...args: Argument[]): bigint;
  /** The text at an address, up to its zero. */
  text(address: bigint): string;
  /** Fills an array with what lies at an address. */
  copy(address: bigint, into: NodeJS.ArrayBufferView): void;
  /** Where an array lies; it must be kept for as long as the address is used. */
  address(array: NodeJS.ArrayBufferView): bigint;
  readonly env: bigint;
  readonly memory: bigint;
  readonly allocator: bigint;
  /** koffi unloads a library that nobody holds any more, and functions that were found by their addresses do not hold it. */
  readonly library: unknown;
}

let opened: Promise<Api | undefined> | undefined;

/** The API; undefined where it cannot be had: not on Linux, without koffi, or with a library too old. */
export function openApi(): Promise<Api | undefined> {
  opened ??= open().catch(() => undefined);
  return opened;
}

async function open(): Promise<Api | undefined> {
  const file = libraryFile();
  if (file === undefined) return undefined;
  const koffi = openKoffi();
  if (!koffi) return undefined;
  const library = koffi.load(file);
  const base = library.func("void *OrtGetApiBase()")();
  const [getApi] = koffi.decode(base, koffi.array("void *", 1));
  const api = koffi.decode(getApi, koffi.proto("void *(uint32_t version)"))(API_VERSION);
  if (!api) return undefined;
  const pointers = koffi.decode(api, koffi.array("void *", LAST_FUNCTION + 1)) as bigint[];
  const at = (place: number, declaration: string) => koffi.decode(pointers[place]!, koffi.proto(declaration));
  const functions = Object.fromEntries(
    Object.entries(FUNCTIONS).map(([name, [place, declaration]]) => [name, at(place, declaration)]),
  );
  const releases = Object.fromEntries(
    Object.entries(RELEASE).map(([what, place]) => [what, at(place, "void (void *object)")]),
  );
  const messageOf = at(MESSAGE_OF_STATUS, "const char *(void *status)");

  const refuse = (status: bigint): never => {
    const message = messageOf(status);
    releases.Status(status);
    throw new Error(message);
  };
  const call: Api["call"] = (name, ...args) => {
    const status = functions[name](...args);
    if (status) refuse(status);
  };
  const result = new BigUint64Array(1);
  const get: Api["get"] = (name, ...args) => {
    result[0] = 0n;
    call(name, ...args, result);
    return result[0];
  };
  const memcpy = koffi.load(null).func("void *memcpy(void *into, void *from, size_t bytes)");
  const end = threadEnd();
  const releaseSession = pointers[RELEASE.Session]!;
  // ONNX Runtime has one environment; a second one is the first
  const warning = 2;
  const [arena, ordinary] = [0, 0];
  return {
    library,
    call,
    get,
    release(what, address) {
      if (what === "Session") end?.remove(end.isolate, releaseSession, address);
      releases[what](address);
    },
    open(name, ...args) {
      if (!end) return get(name, ...args);
      const { add, isolate } = end;
      const create = functions[name];
      result[0] = 0n;
      // between these two a termination is not noticed
      const status = create(...args, result);
      add(isolate, releaseSession, result[0]!);
      const session = result[0]!;
      if (status) {
        end.remove(isolate, releaseSession, session);
        refuse(status);
      }
      return session;
    },
    text: (address) => koffi.decode.string(address),
    copy: (address, into) => memcpy(into, address, into.byteLength),
    address: (array) => koffi.address(array),
    env: get("CreateEnv", warning, "longconv-ssm"),
    memory: get("CreateCpuMemoryInfo", arena, ordinary),
    allocator: get("GetAllocatorWithDefaultOptions"),
  };
}

/**
 * The library beside onnxruntime-node's binding. Other systems than Linux have not been tried, and Electron forbids
 * looking at memory that is not its own.
 */
function libraryFile(): string | undefined {
  if (process.platform !== "linux" || process.versions.electron) return undefined;
  const root = join(dirname(createRequire(import.meta.url).resolve("onnxruntime-node")), "..", "bin");
  const files = readdirSync(root).map((version) =>
    join(root, version, process.platform, process.arch, "libonnxruntime.so.1"),
  );
  return files.find(existsSync);
}
