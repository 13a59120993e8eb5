/** Loads a model and writes with it, off the page's thread. */
import { generate, load } from "longconv-ssm/web";

let model;
let stop = new AbortController();

addEventListener("message", async ({ data }) => {
  // Read between two tokens: the runtime gives the event loop a turn before each.
  if (data.kind === "stop") return stop.abort();
  try {
    if (data.kind === "load") {
      model = await load(data.source);
      postMessage({ kind: "ready", backend: model.backend.name });
    } else {
      stop = new AbortController();
      const { prompt, maxNewTokens } = data;
      for await (const { text } of generate(model, { prompt, maxNewTokens, signal: stop.signal }))
        postMessage({ kind: "text", text });
      postMessage({ kind: "end" });
    }
  } catch (error) {
    postMessage(error.code === "aborted" ? { kind: "stopped" } : { kind: "failed", message: error.message });
  }
});
