/** The exported graph, which must run over the whole text again for every token: how long that takes. */
import type { InferenceSession } from "onnxruntime-common";
import type { Sample } from "./plot.ts";

/** It is run at every so many positions, and at no more than so many of them. */
const EVERY = 32;
const MOST = 32;

export interface Timer {
  /**
   * Times one run at each of some lengths of the text above `from`, until it is stopped.
   * @param ids tokens of the text
   */
  time(ids: readonly number[], from: number, signal: AbortSignal, onSample: (sample: Sample) => void): Promise<void>;
}

/** WebGPU has no DFT, so the graph runs on WebAssembly. */
export function createTimer(url: string): Timer {
  let opening: Promise<InferenceSession> | undefined;
  return {
    async time(ids, from, signal, onSample) {
      const ort = await import("onnxruntime-web/wasm");
      opening ??= ort.InferenceSession.create(url, { executionProviders: ["wasm"] });
      const session = await opening;
      const step = EVERY * 2 ** Math.max(0, Math.ceil(Math.log2(ids.length / EVERY / MOST)));
      for (let length = step; length <= ids.length; length += step) {
        if (length <= from) continue;
        // Messages, "stop" among them, come in between tasks.
        await new Promise((resolve) => setTimeout(resolve));
        if (signal.aborted) return;
        const input = new ort.Tensor("int64", BigInt64Array.from(ids.slice(0, length), BigInt), [1, length]);
        const begun = performance.now();
        await session.run({ [session.inputNames[0]!]: input });
        onSample({ position: length, ms: performance.now() - begun });
      }
    },
  };
}
