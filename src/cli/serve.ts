/** `longconv-ssm serve MODEL…` */
import { existsSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { modelFileOf } from "../../converter/output/beside.ts";
import { LongConvError } from "../errors.ts";
import { tell } from "../process/child.ts";
import { readInput } from "../read-input.ts";
import type { ModelToServe, ServeOptions } from "../serve/options.ts";
import { chatTemplate } from "./chat.ts";
import { newCommand, withAction } from "./command.ts";
import { filesGiven } from "./model-files.ts";
import { openModel } from "./open-model.ts";
import type { Terminal } from "./terminal.ts";
import { bytes, integer, number, texts, threads } from "./values.ts";

interface Options {
  readonly host: string;
  readonly port: number;
  readonly apiKeys?: string;
  readonly cors?: readonly string[];
  readonly sessions?: string;
  readonly maxTokens?: number;
  readonly maxBatch?: number;
  readonly maxQueue?: number;
  readonly maxBody?: number;
  readonly maxSessions?: number;
  readonly sessionMemory?: number;
  readonly requestTimeout?: number;
  readonly cache?: number;
  readonly cacheFolder?: string;
  readonly drain: number;
  readonly inPage?: boolean;
  readonly threads?: number;
}

/** The command's options and examples. */
export function serveCommand(): Command {
  const command = newCommand("serve", "Serve converted models over HTTP, as OpenAI's API does.", [
    ["longconv-ssm serve model/", "on http://127.0.0.1:8080/v1, under the folder's name"],
    ["longconv-ssm serve small=model/ large=other/ --port 9000", "two models, under names of your own"],
    ["longconv-ssm serve model/ --host 0.0.0.0 --api-keys keys.txt --sessions sessions/", "for others, with keys"],
  ])
    .argument("<models...>", "converted models: folders or .onnx files, or NAME=PATH")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <n>", "port; 0: any that is free", integer(0, 65535), 8080)
    .option(
      "--api-keys <file>",
      "a key a line; without it, those of LONGCONV_API_KEYS (separated by commas), if it is set",
    )
    .option("--cors <origin>", "a page's origin that may ask; may be repeated", texts)
    .option(
      "--in-page",
      "give the models' files to whoever may ask, so that the start page can also run them itself (default: nobody gets them)",
    )
    .option("--sessions <folder>", "keep sessions there, so that they survive a restart")
    .option("--max-tokens <n>", "tokens of an answer at most (default: 4096)", integer(1))
    .option("--max-batch <n>", "sequences in a step at most (default: 64)", integer(1))
    .option("--max-queue <n>", "sequences that wait at most (default: 256)", integer(0))
    .option("--max-body <bytes>", "size of a request at most (default: 1MiB)", bytes)
    .option("--max-sessions <n>", "sessions of a key at most (default: 1000)", integer(1))
    .option("--session-memory <bytes>", "all sessions' states at most (default: 1GiB)", bytes)
    .option("--request-timeout <seconds>", "time of a request at most (default: 600)", number({ above: 0, most: 2e6 }))
    .option("--cache <bytes>", "states of beginnings that were read before, for each model (default: 256MiB)", bytes)
    .option("--cache-folder <folder>", "keep these there at the end, and read them at the start")
    .option(
      "--drain <seconds>",
      "after SIGTERM, time for answers that have begun",
      number({ least: 0, most: 86400 }),
      30,
    )
    .option("--threads <n>", "threads of one operator", threads);
  return withAction(command, run);
}

/** Beyond the drain, for what is closed after it, and for writing the caches. */
const CLOSING_MS = 5000;
const SAVING_MS = 60_000;

async function run(terminal: Terminal, names: readonly string[], options: Options): Promise<void> {
  // Only here: no other command needs the server's libraries.
  const { createServer } = await import("../serve/app.ts").catch((cause: unknown) => {
    throw withoutLibraries(cause);
  });
  const keys = await keysOf(options.apiKeys);
  const models: ModelToServe[] = [];
  try {
    for (const name of names) models.push(await modelOf(terminal, name, options));
    refuseSameNames(models);
    const { app, drain } = await createServer({
      ...{
        models,
        keys,
        limits: limitsOf(options),
        sessionsFolder: options.sessions,
        cacheFolder: options.cacheFolder,
      },
      ...(options.cors && { origins: options.cors }),
      onFault: (error) => terminal.note(`error: ${describe(error)}`),
    });
    const url = await listen(app, options);
    tell({ graceMs: 1000 * options.drain + CLOSING_MS + (options.cacheFolder === undefined ? 0 : SAVING_MS) });
    terminal.print(`Serving ${models.map(({ id }) => id).join(", ")} on ${url}/v1`);
    terminal.result({ url, models: models.map(({ id }) => id) });
    if (keys.length === 0 && !["127.0.0.1", "::1", "localhost"].includes(options.host))
      terminal.note("remark: there are no API keys: whoever reaches this address may ask (--api-keys).");
    await aborted(terminal.signal);
    await drain(1000 * options.drain);
  } finally {
    for (const { model } of models) await model.close();
  }
}

/** The server's libraries are optional peers: nobody installs them who does not serve. */
function withoutLibraries(cause: unknown): unknown {
  if ((cause as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") return cause;
  const remedy = "npm install --ignore-scripts fastify @fastify/cors @fastify/websocket prom-client refa";
  return new LongConvError("runtime-missing", "the server's libraries are not installed", {}, remedy, cause);
}

async function modelOf(terminal: Terminal, given: string, options: Options): Promise<ModelToServe> {
  const [, named, rest] = /^([\w.-]+)=(.+)$/.exec(given) ?? [];
  const isNamed = named !== undefined && !existsSync(given);
  const out = isNamed ? rest! : given;
  const id = isNamed ? named : path.basename(path.resolve(out)).replace(/\.onnx$/, "");
  const model = await openModel(terminal, out, options);
  const file = modelFileOf(out);
  const render = model.tokenizer && (await chatTemplate(file));
  return { id, model, render, files: options.inPage ? await filesGiven(file) : undefined };
}

function refuseSameNames(models: readonly ModelToServe[]): void {
  const ids = models.map(({ id }) => id);
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined)
    throw new LongConvError("usage", `two models have the name '${twice}'`, {}, "Give names: NAME=PATH.");
}

const limitsOf = (options: Options): NonNullable<ServeOptions["limits"]> =>
  Object.fromEntries(
    Object.entries({
      tokens: options.maxTokens,
      batch: options.maxBatch,
      queue: options.maxQueue,
      bodyBytes: options.maxBody,
      sessions: options.maxSessions,
      allSessionsBytes: options.sessionMemory,
      requestMs: options.requestTimeout && 1000 * options.requestTimeout,
      cacheBytes: options.cache,
    }).filter(([, value]) => value !== undefined),
  );

/** Of all keys together. */
const MOST_KEY_BYTES = 2 ** 20;

/** Keys are no options: everybody on the machine sees a command line. */
async function keysOf(file: string | undefined): Promise<string[]> {
  if (file === undefined) return listed((process.env.LONGCONV_API_KEYS ?? "").split(","));
  const keys = listed((await readInput(file, { mostBytes: MOST_KEY_BYTES, pipe: true })).toString("utf8").split("\n"));
  if (keys.length > 0) return keys;
  throw new LongConvError("usage", "there is no key in it", { file }, "Give a key a line.");
}

const listed = (keys: readonly string[]): string[] => keys.map((key) => key.trim()).filter((key) => key !== "");

async function listen(
  app: { listen(at: { host: string; port: number }): Promise<string> },
  { host, port }: Options,
): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new LongConvError(
      "usage",
      `cannot listen on ${host}, port ${port} (${code})`,
      {},
      "Give another --port.",
      cause,
    );
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));
