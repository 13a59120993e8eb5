/** `longconv-ssm generate OUT --prompt …` */
import { existsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { text as textOf } from "node:stream/consumers";
import type { Command } from "commander";
import { modelFileOf } from "../../converter/output/beside.ts";
import {
  type FinishReason,
  generate,
  type LoadOptions,
  load,
  type Model,
  type State,
  stateFromBytes,
  stateToBytes,
} from "../../runtime/node.ts";
import { describeClaim } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { newCommand, withAction } from "./command.ts";
import { configuredFolder } from "./model-files.ts";
import { type OutputFile, outputFile } from "./output-file.ts";
import type { Terminal } from "./terminal.ts";
import { integer, number, oneOf, texts, threads, tokenIds } from "./values.ts";

interface Options {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly ids?: readonly number[];
  readonly echo?: boolean;
  readonly maxNewTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly stopToken?: readonly number[];
  readonly state?: string;
  readonly saveState?: string;
  readonly force?: boolean;
  readonly beyond?: boolean;
  readonly provider?: "cpu" | "webgpu";
  readonly threads?: number;
}

/** The command's options and examples. */
export function generateCommand(): Command {
  const command = newCommand("generate", "Generate text from a converted model, streamed to stdout.", [
    ['longconv-ssm generate model/ --prompt "In the beginning"', "greedy, up to 256 tokens"],
    [
      'longconv-ssm generate model/ --prompt "And he said" --temperature 0.8 --top-p 0.95 --seed 7',
      "sampled, repeatable",
    ],
    ["longconv-ssm generate model/ --prompt-file book.txt -n 0 --save-state book.state", "read a long prompt once"],
    ["longconv-ssm generate model/ --state book.state --json", "continue from it"],
    ["longconv-ssm generate recurrent.onnx --ids 17,4,211", "a model without a tokenizer: ids in, ids out"],
    [
      "echo -n 'Moses' | longconv-ssm generate model/ --prompt - --echo",
      "from a pipe, with the prompt before the text",
    ],
  ])
    .argument("<model>", "converted model: the folder or the .onnx file that convert wrote")
    .option("-p, --prompt <text>", "text to continue; -: what comes through stdin")
    .option("--prompt-file <file>", "text to continue, from a file; -: from stdin")
    .option("--ids <list>", "token ids to continue, separated by commas", tokenIds)
    .option("--echo", "write what is continued before the text")
    .option(
      "-n, --max-new-tokens <n>",
      "tokens to make at most (default: generation_config.json's, else 256)",
      integer(0),
    )
    .option("-t, --temperature <t>", "sampling temperature; without any sampling option: greedy", number({ least: 0 }))
    .option("--top-k <n>", "sample from the n most probable tokens", integer(1))
    .option(
      "--top-p <p>",
      "sample from the most probable tokens that hold this probability",
      number({ above: 0, most: 1 }),
    )
    .option(
      "--min-p <p>",
      "sample from tokens with at least this part of the largest probability",
      number({ least: 0, most: 1 }),
    )
    .option("--repetition-penalty <r>", "divide the logits of tokens that were seen by this", number({ above: 0 }))
    .option("--seed <n>", "the same text for the same seed", integer(0))
    .option("--stop <text>", "end before this text; may be repeated", texts)
    .option("--stop-token <list>", "end at one of these token ids", tokenIds)
    .option("--state <file>", "start after a saved state")
    .option("--save-state <file>", "save the state at the end")
    .option("--force", "replace an existing saved state")
    .option("--beyond", "go on past what is claimed of the model; what comes then may be wrong")
    .option("--provider <name>", "execution provider: cpu or webgpu", oneOf(["cpu", "webgpu"]))
    .option("--threads <n>", "threads of one operator", threads);
  return withAction(command, run);
}

async function run(terminal: Terminal, out: string, options: Options): Promise<void> {
  const prompts = [options.prompt, options.promptFile, options.ids].filter((each) => each !== undefined);
  if (prompts.length > 1) throw new LongConvError("usage", "give only one of --prompt, --prompt-file and --ids");
  if (prompts.length === 0 && options.state === undefined)
    throw new LongConvError(
      "usage",
      "there is nothing to continue",
      {},
      "Give --prompt, --prompt-file, --ids or --state.",
    );
  const { saveState, promptFile, state: from, force } = options;
  const save =
    saveState === undefined
      ? undefined
      : await outputFile(saveState, { models: [modelFileOf(out)], inputs: [promptFile, from], force });
  const model = await open(terminal, out, options);
  try {
    await stream(terminal, out, model, options, save);
  } finally {
    await model.close();
  }
}

async function stream(
  terminal: Terminal,
  out: string,
  model: Model,
  options: Options,
  save: OutputFile | undefined,
): Promise<void> {
  const prompt = await promptOf(options);
  const state = options.state === undefined ? undefined : await readState(model, options.state);
  const { signal } = terminal;
  const started = performance.now();
  let read = { tokens: 0, ms: 0 };
  const generation = generate(model, {
    ...chosen(options),
    ...(prompt !== undefined && { prompt }),
    ...(options.ids && { inputIds: options.ids }),
    ...(state && { state }),
    signal,
    onPrompt: ({ tokens, total }) => {
      read = { tokens: total, ms: performance.now() - started };
      terminal.progress("reading the prompt", tokens, total);
    },
  });
  const tokens: number[] = [];
  let text = "";
  let finish: FinishReason | undefined;
  let first = 0;
  const textless = !model.tokenizer;
  if (options.echo) terminal.stream(prompt ?? options.ids?.map((id) => `${id},`).join("") ?? "");
  let after = save && options.maxNewTokens === 0 ? await generation.snapshot() : undefined;
  for await (const piece of generation) {
    if (tokens.length === 0) {
      first = performance.now();
      terminal.settle();
    }
    tokens.push(piece.token);
    text += piece.text;
    finish = piece.finish;
    if (finish && save) after = await generation.snapshot();
    const heard = terminal.stream(textless ? `${tokens.length > 1 ? "," : ""}${piece.token}` : piece.text);
    // A state was asked for to the end; a text that nobody reads was not.
    if (!heard && !save) break;
  }
  const decodeMs = performance.now() - first;
  if (tokens.length > 0 || options.echo) terminal.stream("\n");
  if (save && after) await save.write(await stateToBytes(model, after));
  // The first token comes from the prompt's logits; only those after it cost a step.
  const steps = Math.max(0, tokens.length - 1);
  const speed = steps > 0 ? (1000 * steps) / decodeMs : undefined;
  terminal.result({
    model: out,
    text: textless ? undefined : text,
    tokens,
    finish,
    claim: model.claim,
    positions: model.positions,
    promptTokens: read.tokens,
    promptMs: read.ms,
    msPerToken: steps > 0 ? decodeMs / steps : undefined,
    tokensPerSecond: speed,
  });
  if (terminal.json) return;
  const prefix = read.tokens > 0 ? `${read.tokens} tokens of prompt in ${read.ms.toFixed(0)} ms; ` : "";
  const rate = speed === undefined ? "" : `, ${speed.toFixed(0)} tokens/s`;
  terminal.note(`[${prefix}${tokens.length} tokens${rate}${finish ? `; ended by ${finish}` : ""}]`);
  if (finish === "positions") terminal.note(`The model reads no more than ${model.positions} positions.`);
  if (finish === "reach")
    terminal.note(`What is claimed of the model ends here: ${describeClaim(model.claim!)}. --beyond goes on.`);
}

/** A folder brings its tokenizer and its generations' settings; so does a .onnx file that lies in one. */
function open(terminal: Terminal, out: string, { provider: name, threads }: Options): Promise<Model> {
  const options: LoadOptions = {
    ...(name && { executionProviders: [name] }),
    ...(threads && { threads }),
    onRemark: (text) => terminal.note(`remark: ${text}`),
  };
  const isFile = existsSync(out) && !statSync(out).isDirectory();
  const folder = isFile ? configuredFolder(out) : undefined;
  return folder === undefined
    ? load(out, options)
    : load(folder, { ...options, modelFile: path.relative(folder, path.resolve(out)) });
}

const chosen = ({ maxNewTokens, temperature, topK, topP, minP, repetitionPenalty, seed, ...rest }: Options) =>
  Object.fromEntries(
    Object.entries({
      maxNewTokens,
      temperature,
      topK,
      topP,
      minP,
      repetitionPenalty,
      seed,
      stop: rest.stop,
      stopTokens: rest.stopToken,
      beyond: rest.beyond,
    }).filter(([, value]) => value !== undefined),
  );

/** The text to continue: as given, from a file, or from stdin. */
async function promptOf({ prompt, promptFile }: Options): Promise<string | undefined> {
  if (prompt === "-" || promptFile === "-") return textOf(process.stdin);
  return promptFile === undefined ? prompt : readText(promptFile);
}

const readText = async (file: string): Promise<string> => (await readInput(file)).toString("utf8");

const readState = async (model: Model, file: string): Promise<State> => {
  try {
    return await stateFromBytes(model, await readInput(file));
  } catch (error) {
    if (!(error instanceof LongConvError) || error.where.file === file) throw error;
    throw new LongConvError(error.code, error.reason, { file }, error.remedy, error);
  }
};

async function readInput(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new LongConvError(
      "file-missing",
      `cannot be read (${(cause as NodeJS.ErrnoException).code})`,
      { file },
      "Check the path.",
      cause,
    );
  }
}
