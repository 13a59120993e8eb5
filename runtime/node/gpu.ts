/** The binding to onnxruntime-node's GPU provider: states stay in GPU buffers from step to step. */
import { existsSync } from "node:fs";
import type { Backend, ModelSource } from "../sessions/backend.ts";
import { copyModel } from "../sessions/copy-model.ts";
import { elementOfType } from "../sessions/numeric.ts";
import type { InferenceSession, Tensor } from "../sessions/ort.ts";
import { orRelease, stepFileOf, twoSessions } from "../sessions/two-sessions.ts";
import { wrapped } from "../sessions/wrapped.ts";
import { nodeBindingBackend, openHere } from "./backend.ts";

/** Like the other, with states in GPU buffers; single tokens go to the file made for them, where it is beside the model. */
export const nodeGpuBackend: Backend = {
  ...nodeBindingBackend,
  name: "onnxruntime-node (GPU)",
  writesIntoFetches: false,
  async open(source, options) {
    const open = async (each: ModelSource) => openHere(each, await withStatesOnGpu(each, options));
    const whole = await open(source);
    const stepFile = typeof source === "string" ? stepFileOf(source) : undefined;
    if (!stepFile || !existsSync(stepFile)) return downloadable(whole);
    return downloadable(twoSessions(whole, await orRelease(whole, open(stepFile))));
  },
};

/** onnxruntime-node ends the process when a tensor on the GPU is downloaded, so all outputs but the states come to the CPU. */
async function withStatesOnGpu(
  source: ModelSource,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession.SessionOptions> {
  if (typeof source === "string" && !existsSync(source)) return options;
  const { graph } = await nodeBindingBackend.outline(source);
  const states = graph?.outputNames.filter((name) => name.startsWith("present")) ?? [];
  return {
    ...options,
    preferredOutputLocation: Object.fromEntries(states.map((name) => [name, "gpu-buffer" as const])),
  };
}

/** The session, with outputs on the GPU that can be downloaded all the same: by a model that copies. */
function downloadable(session: InferenceSession): InferenceSession {
  const run = async (...args: Parameters<InferenceSession["run"]>) => {
    const results = await session.run(...args);
    for (const tensor of Object.values(results) as Tensor[]) {
      if (tensor.location === "cpu") continue;
      const getData = async (release?: boolean) => {
        const copy = await copier(tensor.type);
        const { y } = await copy.run({ x: tensor });
        if (release) tensor.dispose();
        return y!.data;
      };
      Object.defineProperty(tensor, "getData", { value: getData });
    }
    return results;
  };
  return wrapped(session, run);
}

const copiers = new Map<Tensor.Type, Promise<InferenceSession>>();

function copier(type: Tensor.Type): Promise<InferenceSession> {
  const known = copiers.get(type);
  if (known) return known;
  const made = openHere(copyModel(elementOfType(type) ?? 1), { executionProviders: ["webgpu"] });
  copiers.set(type, made);
  return made;
}
