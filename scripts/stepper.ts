/** Drives a stateful model one call after the other through ONNX Runtime and nothing else: what a step costs by itself. */
import { encodeModel } from "../converter/file/encode.ts";
import type { Model } from "../converter/graph/graph.ts";
import { nodeBackend } from "../runtime/node.ts";
import { pairStates } from "../src/contract.ts";

/** A session and the states that it has come to. */
export interface Stepper {
  /** Reads [1, channels, frames] and gives the output of the same frames. */
  next(frames: Float32Array, count: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/** A stepper for signal [1, channels, time] → features, on one thread. Its states start at zero. */
export async function stepper(model: Model, channels: number): Promise<Stepper> {
  const { Tensor } = nodeBackend;
  const session = await nodeBackend.open(encodeModel(model), { executionProviders: ["cpu"], intraOpNumThreads: 1 });
  const pairs = pairStates(session.inputNames, session.outputNames);
  const feeds: Record<string, InstanceType<typeof Tensor>> = {};
  for (const { past } of pairs) {
    const dims = model.graph.inputs
      .find(({ name }) => name === past)!
      .dims!.map((d) => (typeof d === "number" ? d : 1));
    feeds[past] = new Tensor("float32", new Float32Array(dims.reduce((a, c) => a * c, 1)), dims);
  }
  return {
    async next(frames, count) {
      feeds.signal = new Tensor("float32", frames, [1, channels, count]);
      const results = await session.run(feeds);
      for (const { past, present } of pairs) feeds[past] = results[present]!;
      return results.features!.data as Float32Array;
    },
    close: () => session.release(),
  };
}
