/** Runs models through ONNX Runtime on the CPU. */
import path from "node:path";
import { LongConvError } from "../../src/errors.ts";
import { releaseFreed } from "../../src/free-memory.ts";
import { InferenceSession } from "../../src/onnxruntime-node.ts";
import { temporaryFolder } from "../../src/temporary-folder.ts";
import { encodeModel, initializerBytes } from "../file/encode.ts";
import { writeNewModel } from "../file/write.ts";
import type { Model } from "../graph/graph.ts";
import type { Tensor } from "../graph/tensor.ts";
import { hideDftShapes } from "./hidedft.ts";
import { ortTensor, ownTensor } from "./orttensor.ts";

/** An open session. */
export interface Runner {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /**
   * Runs the model.
   * @param wanted names of the outputs to compute; default all
   * @throws LongConvError `runtime-failed` with ONNX Runtime's own message
   */
  run(feeds: Readonly<Record<string, Tensor>>, wanted?: readonly string[]): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

export interface RunOptions {
  /** Threads of one operator; default ONNX Runtime's choice. */
  readonly threads?: number;
  /** Graph optimisations; default all. Off, every tensor is computed as the graph says, also when all are outputs. */
  readonly optimization?: "disabled" | "basic" | "extended" | "all";
  /**
   * Models with more bytes of weights are handed over in temporary files; default 1e8. ONNX Runtime maps files, but
   * copies twice what it is handed in memory. Their matrices are not packed, either: packed ones are a copy of all of them,
   * while of a mapped file only what is read is in memory. What such a session took is given back when it is closed.
   */
  readonly maxEmbeddedBytes?: number;
}

/**
 * Opens a session for a model in memory.
 * @throws LongConvError `runtime-failed` if ONNX Runtime refuses it; what `writeNewModel` throws for a large model
 */
export async function openModel(model: Model, options: RunOptions = {}): Promise<Runner> {
  const runnable = hideDftShapes(model);
  if (initializerBytes(model) <= (options.maxEmbeddedBytes ?? 1e8)) {
    return open(encodeModel(runnable), model.file, options);
  }
  const folder = await temporaryFolder();
  try {
    const file = path.join(folder.path, "model.onnx");
    await writeNewModel(runnable, file, { externalData: "always", dataFile: "weights" }).catch((cause: unknown) => {
      throw noCopy(cause, model.file);
    });
    const runner = await open(file, model.file, options, true);
    // Where an open file can be removed, nothing is left even of a process that is killed.
    if (process.platform !== "win32") await folder.remove();
    return { ...runner, close: () => runner.close().finally(folder.remove) };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

/**
 * Opens a session for a file as it is; its external data are found beside it.
 * @throws LongConvError `runtime-failed` if ONNX Runtime refuses it
 */
export function openFile(file: string, options: RunOptions = {}): Promise<Runner> {
  return open(file, file, options);
}

async function open(
  source: Uint8Array | string,
  file: string,
  { threads, optimization }: RunOptions,
  mapped = false,
): Promise<Runner> {
  const sessionOptions: InferenceSession.SessionOptions = {
    executionProviders: ["cpu"],
    // an arena keeps the most that it ever held
    ...(mapped && { enableCpuMemArena: false }),
    // after each of many short runs, threads would look for the next in a busy loop
    extra: { session: { intra_op: { allow_spinning: "0" }, ...(mapped && { disable_prepacking: "1" }) } },
    // Fatal only: an error is thrown, and need not be printed as well.
    logSeverityLevel: 4,
    ...(threads && { intraOpNumThreads: threads }),
    ...(optimization && { graphOptimizationLevel: optimization }),
  };
  const session = await (typeof source === "string"
    ? InferenceSession.create(source, sessionOptions)
    : InferenceSession.create(source, sessionOptions)
  ).catch((cause: unknown) => {
    throw failed(cause, file, "ONNX Runtime does not load the model");
  });
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds, wanted) {
      const given = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, ortTensor(name, tensor)]));
      // a list of names is looked up one by one among all outputs, which takes seconds where every tensor of a large graph is one
      const results = await (wanted ? session.run(given, wanted) : session.run(given)).catch((cause: unknown) => {
        throw failed(cause, file, "ONNX Runtime fails to run the model");
      });
      return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, ownTensor(name, value)]));
    },
    async close() {
      await session.release();
      if (mapped) releaseFreed();
    },
  };
}

/** The path of the copy says nothing to whoever gave the model. */
function noCopy(cause: unknown, file: string): unknown {
  const { code, syscall } = (cause instanceof LongConvError ? (cause.cause ?? cause) : cause) as NodeJS.ErrnoException;
  if (syscall === undefined) return cause;
  const reason = `ONNX Runtime needs a copy of the weights, which does not fit into the temporary folder (${code})`;
  const remedy = "Name a folder with room in TMPDIR, and look at the limit of a file's size (ulimit -f).";
  return new LongConvError("runtime-failed", reason, { file: file || undefined }, remedy, cause);
}

function failed(cause: unknown, file: string, what: string): LongConvError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new LongConvError("runtime-failed", `${what}: ${message}`, { file: file || undefined }, undefined, cause);
}
