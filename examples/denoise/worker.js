/** The three graphs, off the page's thread, on one thread of WebAssembly: a frame is 10 ms of sound. */
import * as runtime from "longconv-ssm/web";
import { denoised, denoiser, GRAPHS, networks } from "./deepfilter.js";

let models;

addEventListener("message", async ({ data }) => {
  try {
    if (data.kind === "load") {
      const options = { executionProviders: ["wasm"], threads: 1 };
      models = await Promise.all(
        GRAPHS.map((name) => runtime.load(new URL(`${name}.onnx`, data.source).href, options)),
      );
      return postMessage({ kind: "ready" });
    }
    const next = denoiser(networks(models, runtime, { forget: data.forget }).next);
    const start = performance.now();
    const samples = await denoised(next, data.samples);
    postMessage({ kind: "clean", samples, ms: performance.now() - start });
  } catch (error) {
    postMessage({ kind: "failed", message: error.message });
  }
});
