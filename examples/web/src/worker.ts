/** Loads a model and writes with it, off the page's thread; afterwards it times the exported graph on the same text. */
import { describeClaim, type FinishReason, generate, LongConvError, load, type Model } from "longconv-ssm/web";
import { createTimer, type Timer } from "./exported.ts";
import type { ModelSource, Provider, Reply, Request, Settings } from "./messages.ts";
import { createPlaces, type Places } from "./places.ts";

/** A text: the prompt's tokens and those that were written after it, with states along it. */
interface Text {
  readonly promptLength: number;
  readonly ids: readonly number[];
  readonly places: Places;
}

let model: Model | undefined;
let exported: Timer | undefined;
let text: Text | undefined;
let stop = new AbortController();

const reply = (message: Reply): void => postMessage(message);

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  if (data.kind === "stop") return stop.abort();
  try {
    if (data.kind === "load") await open(data.model, data.provider);
    else if (data.kind === "generate") await begin(data.prompt, data.settings);
    else await goOn(data.place, data.settings);
  } catch (error) {
    if (error instanceof LongConvError && error.code === "aborted")
      reply({ kind: "done", stopped: true, end: undefined });
    else reply({ kind: "failed", message: (error as Error).message });
  }
});

async function open({ source, modelFile, exported: url }: ModelSource, provider: Provider): Promise<void> {
  text?.places.cut(-1);
  text = undefined;
  await model?.close();
  model = undefined;
  model = await load(source, {
    executionProviders: provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
    onProgress: (progress) => reply({ kind: "progress", ...progress }),
    onFallback: (why) => reply({ kind: "fallback", why, backend: model?.backend.name ?? "WebAssembly" }),
    ...(modelFile === undefined ? {} : { modelFile }),
  });
  exported = url === undefined ? undefined : createTimer(url);
  reply({
    kind: "loaded",
    stateBytes: model.states.reduce((sum, { size }) => sum + 4 * size, 0),
    vocabulary: model.language?.vocabulary ?? 0,
    backend: model.backend.name,
    canCompare: exported !== undefined,
    hasTokenizer: model.tokenizer !== undefined,
  });
}

async function begin(prompt: string, settings: Settings): Promise<void> {
  text?.places.cut(-1);
  const ids = model!.tokenizer?.encode(prompt) ?? prompt.match(/\d+/g)!.map(Number);
  await write({ promptLength: ids.length, ids, places: createPlaces() }, settings);
}

async function goOn(place: number, settings: Settings): Promise<void> {
  const { promptLength, ids, places } = text!;
  const position = promptLength + place;
  places.cut(position);
  await write({ promptLength, ids: ids.slice(0, position), places }, settings);
}

/** Writes after the text's last token: from the last state before it, after which few tokens are to be read. */
async function write(from: Text, settings: Settings): Promise<void> {
  const { tokenizer } = model!;
  const ids = [...from.ids];
  text = { ...from, ids };
  stop = new AbortController();
  const { signal } = stop;
  const { temperature, topP, seed, maxNewTokens, compare } = settings;
  const state = from.places.before(ids.length);
  const pieces = generate(model!, {
    ...(state && { state }),
    inputIds: ids.slice(state?.positions[0] ?? 0),
    ...{ temperature, topP, seed, maxNewTokens, signal },
  });
  let begun = performance.now();
  let end: string | undefined;
  for await (const { token, text: piece, finish } of pieces) {
    const now = performance.now();
    end = finish && endOf(model!, finish);
    // After the end of a text there is nothing to go on with.
    if (finish !== "stop-token") ids.push(token);
    reply({ kind: "token", text: tokenizer ? piece : ` ${token}`, position: ids.length, ms: now - begun });
    if (!finish && from.places.wants(ids.length)) from.places.add(await pieces.snapshot());
    begun = now;
  }
  if (compare && exported) {
    reply({ kind: "written" });
    await exported.time(ids, from.ids.length, signal, (sample) => reply({ kind: "exported", ...sample }));
  }
  reply({ kind: "done", stopped: signal.aborted, end });
}

/** Why a text ends before it has as many tokens as were asked for; nothing where the text itself ends. */
function endOf({ claim, positions }: Model, finish: FinishReason): string | undefined {
  if (finish === "positions") return `The model reads no more than ${positions} positions.`;
  return finish === "reach" && claim ? `No more is claimed of the model: ${describeClaim(claim)}.` : undefined;
}
