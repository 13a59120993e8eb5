/** In the start page's worker: loads a model's files from the server, and writes with it as the server would. */
import { createPrefixCache, generate, load, type Model, type PrefixCache } from "../../../runtime/web.ts";
import { type Message, type Render, renderer, TEMPLATE_FILE } from "../../chat-template.ts";

/** A model as the page names it. */
interface Wanted {
  readonly id: string;
  /** URL of its files. */
  readonly folder: string;
  readonly modelFile: string;
  readonly chat: boolean;
  /** Empty where the server asks for none. */
  readonly key: string;
}

type Request =
  | { readonly kind: "stop" }
  /** The page has shown what came, and takes more. */
  | { readonly kind: "more" }
  | ({ readonly kind: "write"; readonly model: Wanted; readonly settings: Settings } & Asked);

/** A text and the tokens that were made of it before, or a conversation. */
interface Asked {
  readonly prompt?: string;
  readonly tokens?: readonly number[];
  readonly messages?: readonly Message[];
}

interface Settings {
  readonly temperature: number;
  readonly top_p: number;
  readonly seed: number;
  readonly max_tokens: number;
}

interface Loaded {
  readonly id: string;
  readonly model: Model;
  /** What was read before, of all that was asked. */
  readonly cache: PrefixCache;
  readonly render: Render | undefined;
}

/** Pieces that are made before the page takes more: it would else be kept busy by a model that is faster than it. */
const MOST_AHEAD = 32;

let loaded: Loaded | undefined;
let stop = new AbortController();
let taken = true;
let wake = () => {};

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  // Read between two tokens: the runtime gives the event loop a turn before each.
  if (data.kind === "more") taken = true;
  if (data.kind === "stop") stop.abort();
  wake();
  if (data.kind !== "write") return;
  stop = new AbortController();
  try {
    if (loaded?.id !== data.model.id) await open(data.model, stop.signal);
    await write(loaded!, data, data.settings, stop.signal);
    postMessage({ kind: "end" });
  } catch (error) {
    postMessage({ kind: "failed", message: (error as Error).message });
  }
});

async function open({ id, folder, modelFile, chat, key }: Wanted, signal: AbortSignal): Promise<void> {
  await loaded?.model.close();
  loaded = undefined;
  const headers = key === "" ? undefined : { authorization: `Bearer ${key}` };
  const asking: typeof fetch = (url, init) => fetch(url, { ...init, ...(headers && { headers }) });
  const model = await load(folder, {
    ...{ modelFile, signal, fetch: asking },
    // What only a key opens is not left in the browser.
    ...(headers && { cache: false }),
    onProgress: ({ file, loadedBytes, totalBytes }) => postMessage({ kind: "loading", file, loadedBytes, totalBytes }),
    onFallback: (why) => postMessage({ kind: "remark", why }),
  });
  const text = async (name: string) => {
    const response = await asking(new URL(name, folder), { signal });
    return response.ok ? await response.text() : undefined;
  };
  const config = chat ? JSON.parse((await text("tokenizer_config.json")) ?? "{}") : {};
  const render = chat ? renderer(await text(TEMPLATE_FILE), config, id) : undefined;
  loaded = { id, model, cache: createPrefixCache(model), render };
}

async function write({ model, cache, render }: Loaded, asked: Asked, settings: Settings, signal: AbortSignal) {
  const prompt = promptOf(model, render, asked);
  postMessage({ kind: "begun", promptTokens: prompt.length, backend: model.backend.name });
  const { temperature, top_p: topP, seed, max_tokens: maxNewTokens } = settings;
  const inputIds = [...prompt, ...(asked.tokens ?? [])];
  const options = { inputIds, cache, signal, temperature, topP, seed, maxNewTokens };
  let pieces: { readonly token: number; readonly text: string }[] = [];
  const give = () => {
    postMessage({ kind: "pieces", pieces });
    [pieces, taken] = [[], false];
  };
  taken = true;
  for await (const { token, text } of generate(model, options)) {
    pieces.push({ token, text });
    if (!taken && pieces.length >= MOST_AHEAD) await takenOrStopped();
    if (taken) give();
  }
  give();
}

const takenOrStopped = () =>
  new Promise<void>((resolve) => {
    wake = resolve;
  });

function promptOf({ tokenizer }: Model, render: Render | undefined, { prompt = "", messages }: Asked) {
  if (messages) return tokenizer!.encode(render!(messages), { addSpecialTokens: false });
  return tokenizer ? tokenizer.encode(prompt) : (prompt.match(/\d+/g) ?? []).map(Number);
}
