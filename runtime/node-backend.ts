/** The binding to onnxruntime-node. */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { InferenceSession } from "onnxruntime-common";
import * as ort from "onnxruntime-node";
import { type ErrorCode, LongConvError } from "../src/errors.ts";
import type { Backend, ModelSource } from "./backend.ts";
import { refuseGraphCapture } from "./capture/refuse.ts";
import { openDirect } from "./node-direct/session.ts";

/** onnxruntime-node's own binding, which copies every output of every run. */
export const nodeBindingBackend: Backend = {
  name: "onnxruntime-node (its binding)",
  Tensor: ort.Tensor,
  // A run holds the thread until it is done.
  oneRunAtATime: false,
  writesIntoFetches: true,
  open: (source, options) => opened(source, options, openOrdinary),
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

type Options = InferenceSession.SessionOptions;

const openOrdinary = (source: ModelSource, options: Options): Promise<InferenceSession> =>
  typeof source === "string"
    ? ort.InferenceSession.create(source, options)
    : ort.InferenceSession.create(source, options);

async function opened(
  source: ModelSource,
  options: Options,
  open: (source: ModelSource, options: Options) => Promise<InferenceSession>,
): Promise<InferenceSession> {
  const file = typeof source === "string" ? source : undefined;
  refuseGraphCapture(options, file);
  if (file !== undefined && !existsSync(file)) throw new LongConvError("file-missing", "no such file", { file });
  try {
    return await open(source, options);
  } catch (error) {
    throw openError(error, file);
  }
}

/** ONNX Runtime tells its failures apart by their text only. */
const FAILURES: readonly (readonly [pattern: RegExp, code: ErrorCode, remedy?: string])[] = [
  [
    /External data path.*(escapes|not allowed|not absolute)/i,
    "external-data-outside",
    "Keep it beside the model file.",
  ],
  [
    /External data path/i,
    "external-data-missing",
    "Keep it beside the model file, under the name it was written with.",
  ],
  [/out of bounds or can not be read in full/i, "external-data-short", "The file is cut off: copy it again."],
  [/IR version|released onnx opset/i, "unsupported-opset", "Use a newer ONNX Runtime, or an older opset."],
  [/protobuf|ModelProto|data pointer is null/i, "not-onnx"],
];

function openError(error: unknown, file: string | undefined): LongConvError {
  const message = error instanceof Error ? error.message : String(error);
  const [, code, remedy] = FAILURES.find(([pattern]) => pattern.test(message)) ?? [undefined, "invalid-graph" as const];
  // The sentence without the place in ONNX Runtime's own source.
  const sentence = message.trim().replace(/^.*?\.(?:cc|h):\d+ (?:.*\) )?/s, "");
  return new LongConvError(code, `ONNX Runtime cannot load it: ${sentence}`, { file }, remedy, error);
}

/** SHA-256 of a file, streamed; the locations of external data that it names are collected. */
async function digestFile(file: string, external?: Set<string>): Promise<string> {
  const hash = createHash("sha256");
  let tail = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    if (!external) continue;
    const window = Buffer.concat([tail, chunk]);
    for (const name of locations(window)) external.add(name);
    tail = Buffer.from(window.subarray(-4096));
  }
  return hash.digest("hex");
}

/** A StringStringEntryProto { key: "location", value } in protobuf's wire format, up to its value's length. */
const LOCATION = Buffer.from("\x0a\x08location\x12", "latin1");

function* locations(bytes: Buffer): Generator<string> {
  for (let at = bytes.indexOf(LOCATION); at >= 0; at = bytes.indexOf(LOCATION, at + 1)) {
    const length = bytes[at + LOCATION.length] ?? 0;
    const start = at + LOCATION.length + 1;
    // Names of 128 bytes and more have a longer prefix; no file is called that.
    if (length > 0 && length < 128 && start + length <= bytes.length)
      yield bytes.toString("utf8", start, start + length);
  }
}
