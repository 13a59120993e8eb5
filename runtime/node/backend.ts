/** The binding to onnxruntime-node. */
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { isMainThread } from "node:worker_threads";
import { LongConvError } from "../../src/errors.ts";
import { Tensor } from "../../src/ort-tensor.ts";
import type { ProcessOptions } from "../../src/process/limits.ts";
import type { Backend, ModelSource } from "../sessions/backend.ts";
import { refuseGraphCapture } from "../sessions/capture/refuse.ts";
import { externalLocations, LONGEST_LOCATION } from "../sessions/external-locations.ts";
import { openError } from "../sessions/open-error.ts";
import type { InferenceSession } from "../sessions/ort.ts";
import { outlineOf } from "../sessions/outline.ts";
import { inMemory } from "../sessions/wire.ts";
import { openApart, UNLIMITED } from "./apart/session.ts";
import { openApi } from "./direct/api.ts";
import { openDirect } from "./direct/session.ts";
import { outlineOfFile } from "./outline.ts";

/** onnxruntime-node's own binding, which copies every output of every run. */
export const nodeBindingBackend: Backend = {
  name: "onnxruntime-node (its binding)",
  Tensor,
  // A run holds the thread until it is done.
  oneRunAtATime: false,
  writesIntoFetches: true,
  open: (source, options) => opened(source, options, openOrdinary),
  async outline(source) {
    if (typeof source !== "string") return outlineOf(inMemory(source));
    refuseNoFile(source);
    return outlineOfFile(source);
  },
  async digests(source) {
    if (typeof source !== "string") return [createHash("sha256").update(source).digest("hex")];
    const external = new Set<string>();
    const digests = [await digestFile(source, external)];
    for (const name of [...external].sort()) digests.push(await digestFile(resolve(dirname(source), name)));
    return digests;
  },
};

/** onnxruntime-node's library without the copies, on the CPU; where that cannot be had, through its binding. */
export const nodeBackend: Backend = {
  ...nodeBindingBackend,
  name: "onnxruntime-node",
  open: (source, options) =>
    opened(source, options, async () => (await openDirect(source, options)) ?? openOrdinary(source, options)),
};

/** onnxruntime-node in a process of its own, for a model that is not trusted. */
export const nodeApartBackend = (limits: ProcessOptions): Backend => ({
  ...nodeBindingBackend,
  name: "onnxruntime-node (in a process of its own)",
  open: (source, options) => opened(source, options, (...given) => openApart(...given, limits)),
});

type Options = InferenceSession.SessionOptions;

// A thread that ends while it loads a native library ends the process: so at once, not in the midst of other work.
if (!isMainThread) void openApi();

const openOrdinary = (source: ModelSource, options: Options): Promise<InferenceSession> =>
  isMainThread ? openBinding(source, options) : openApart(source, options, UNLIMITED);

/** A session of the binding in this thread, whose end while it runs is the end of the process. */
export const openHere: Backend["open"] = (source, options) => opened(source, options, openBinding);

async function openBinding(source: ModelSource, options: Options): Promise<InferenceSession> {
  const { InferenceSession } = await import("../../src/onnxruntime-node.ts");
  return typeof source === "string"
    ? InferenceSession.create(source, options)
    : InferenceSession.create(source, options);
}

async function opened(
  source: ModelSource,
  options: Options,
  open: (source: ModelSource, options: Options) => Promise<InferenceSession>,
): Promise<InferenceSession> {
  const file = typeof source === "string" ? source : undefined;
  refuseGraphCapture(options, file);
  if (file !== undefined) refuseNoFile(file);
  try {
    return await open(source, options);
  } catch (error) {
    throw openError(error, file);
  }
}

function refuseNoFile(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat) throw new LongConvError("file-missing", "no such file", { file });
  // To open a pipe would wait for whoever writes into it; a device never ends.
  if (!stat.isFile() && !stat.isDirectory())
    throw new LongConvError("not-onnx", "is a pipe or a device", { file }, "Give the path of a file.");
}

/** SHA-256 of a file, streamed; the locations of external data that it names are collected. */
async function digestFile(file: string, external?: Set<string>): Promise<string> {
  const hash = createHash("sha256");
  let tail = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    if (!external) continue;
    const window = Buffer.concat([tail, chunk]);
    for (const name of externalLocations(window)) external.add(name);
    tail = Buffer.from(window.subarray(-LONGEST_LOCATION));
  }
  return hash.digest("hex");
}
