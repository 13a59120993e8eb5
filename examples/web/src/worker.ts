/** Loads a model and writes with it, off the page's thread; now and then it times the exported graph on the same text. */
import { describeClaim, type FinishReason, generate, load, type Model } from "longconv-ssm/web";
import type { InferenceSession } from "onnxruntime-common";
import type { Reply, Request } from "./messages.ts";

/** The exported graph is run again at every so many positions; its time is not counted to the converted model's. */
const COMPARE_EVERY = 32;

let model: Model | undefined;
let exportedUrl: string | undefined;
let exported: Promise<InferenceSession> | undefined;
let stop = new AbortController();

const reply = (message: Reply): void => postMessage(message);

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  try {
    if (data.kind === "stop") stop.abort();
    else if (data.kind === "load") await open(data);
    else await write(data);
  } catch (error) {
    reply({ kind: "failed", message: (error as Error).message });
  }
});

async function open({ source, exported: url, provider }: Request & { kind: "load" }): Promise<void> {
  await model?.close();
  model = undefined;
  model = await load(source, {
    executionProviders: provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
    onProgress: (progress) => reply({ kind: "progress", ...progress }),
    onFallback: (why) => reply({ kind: "fallback", why, backend: model?.backend.name ?? "WebAssembly" }),
  });
  exportedUrl = url;
  exported = undefined;
  const stateBytes = model.states.reduce((sum, { size }) => sum + 4 * size, 0);
  const hasTokenizer = model.tokenizer !== undefined;
  reply({ kind: "loaded", stateBytes, backend: model.backend.name, canCompare: url !== undefined, hasTokenizer });
}

async function write({ prompt, temperature, maxNewTokens, compare }: Request & { kind: "generate" }): Promise<void> {
  if (!model) return;
  stop = new AbortController();
  const { tokenizer } = model;
  const ids = tokenizer ? tokenizer.encode(prompt) : prompt.match(/\d+/g)!.map(Number);
  const pieces = generate(model, { inputIds: ids, temperature, maxNewTokens, seed: Date.now() % 2 ** 31 });
  let end: string | undefined;
  let begun = performance.now();
  for await (const { token, text, finish } of pieces) {
    end = finish && endOf(model, finish);
    const ms = performance.now() - begun;
    ids.push(token);
    reply({ kind: "token", text: tokenizer ? text : ` ${token}`, position: ids.length, ms });
    if (compare && exportedUrl && ids.length % COMPARE_EVERY === 0) {
      reply({ kind: "exported", position: ids.length, ms: await timeExported(exportedUrl, ids) });
    }
    // Messages, "stop" among them, come in between tasks.
    await new Promise((resolve) => setTimeout(resolve));
    if (stop.signal.aborted) break;
    begun = performance.now();
  }
  reply({ kind: "done", end });
}

/** Why a text ends before it has as many tokens as were asked for; nothing where the text itself ends. */
function endOf({ claim, positions }: Model, finish: FinishReason): string | undefined {
  if (finish === "positions") return `The model reads no more than ${positions} positions.`;
  return finish === "reach" && claim ? `No more is claimed of the model: ${describeClaim(claim)}.` : undefined;
}

/** Milliseconds of one run of the exported graph over these tokens. WebGPU has no DFT, so it runs on WebAssembly. */
async function timeExported(url: string, ids: readonly number[]): Promise<number> {
  const ort = await import("onnxruntime-web/wasm");
  exported ??= ort.InferenceSession.create(url, { executionProviders: ["wasm"] });
  const session = await exported;
  const input = new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
  const begun = performance.now();
  await session.run({ [session.inputNames[0]!]: input });
  return performance.now() - begun;
}
