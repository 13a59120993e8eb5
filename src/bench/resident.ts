/** How much memory a process takes that runs a model: measured in one of its own, where nothing else is. */
import { fork } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { writeNewModel } from "../../converter/file/write.ts";
import type { Model, ValueInfo } from "../../converter/graph/graph.ts";
import type { Tensor } from "../../converter/graph/tensor.ts";
import { hideDftShapes } from "../../converter/ort/hidedft.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** What the process is to run. */
export interface ResidentTask {
  readonly file: string;
  readonly inputs: readonly ValueInfo[];
  /** Inputs of the original model for so many positions of so many sequences. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly tokens: number;
  readonly batch: number;
  readonly threads: number | undefined;
}

/** Bytes of memory of a process that has run the model once, with Node and ONNX Runtime in it. */
export interface Resident {
  /** After the run. */
  readonly bytes: number;
  /** The most that it ever held. */
  readonly peak: number;
}

/** @returns undefined where the model cannot be run in a process of its own */
export async function residentOf(
  model: Model,
  task: Omit<ResidentTask, "file" | "inputs">,
): Promise<Resident | undefined> {
  const folder = await temporaryFolder();
  try {
    const file = path.join(folder.path, "model.onnx");
    await writeNewModel(hideDftShapes(model), file, { externalData: "always", dataFile: "weights" });
    return await inProcess({ ...task, file, inputs: model.graph.inputs });
  } finally {
    await folder.remove();
  }
}

function inProcess(task: ResidentTask): Promise<Resident | undefined> {
  const program = fileURLToPath(new URL(`./resident-child${import.meta.url.slice(-3)}`, import.meta.url));
  // "advanced" passes typed arrays as they are
  const child = fork(program, { serialization: "advanced", stdio: "ignore" });
  return new Promise((resolve) => {
    child.once("message", (measured) => resolve(measured as Resident));
    child.once("error", () => resolve(undefined)).once("exit", () => resolve(undefined));
    child.send(task, (error) => error && resolve(undefined));
  });
}
