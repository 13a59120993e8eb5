/** `longconv-ssm generate OUT --prompt …` */
import type { Command } from "commander";
import { modelFileOf } from "../../converter/output/beside.ts";
import {
  draftModel,
  type GenerateOptions,
  type Model,
  promptLookup,
  type State,
  stateToBytes,
} from "../../runtime/node.ts";
import { LongConvError } from "../errors.ts";
import { chatTemplate } from "./chat.ts";
import { newCommand, withAction } from "./command.ts";
import { constraintOf } from "./constraint.ts";
import { continueText, echoOf } from "./continue.ts";
import { converse } from "./converse.ts";
import { openModel } from "./open-model.ts";
import { outputFile } from "./output-file.ts";
import { promptOf, readState } from "./read-input.ts";
import { refuseSeveral, writeSeveral } from "./several.ts";
import type { Terminal } from "./terminal.ts";
import { integer, number, oneOf, texts, threads, tokenIds } from "./values.ts";

interface Options {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly ids?: readonly number[];
  readonly interactive?: boolean;
  readonly echo?: boolean;
  readonly json?: boolean;
  readonly jsonLines?: boolean;
  readonly maxNewTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly stopToken?: readonly number[];
  readonly regex?: string;
  readonly jsonSchema?: string;
  readonly state?: string;
  readonly saveState?: string;
  readonly force?: boolean;
  readonly beyond?: boolean;
  readonly beams?: number;
  readonly count?: number;
  readonly lookup?: boolean;
  readonly draft?: string;
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
    [
      'longconv-ssm generate model/ --prompt "And he said, " --regex "[A-Z][a-z]+(, [a-z]+){1,3}\\."',
      "a text that matches",
    ],
    ["longconv-ssm generate recurrent.onnx --ids 17,4,211", "a model without a tokenizer: ids in, ids out"],
    [
      "echo -n 'Moses' | longconv-ssm generate model/ --prompt - --echo",
      "from a pipe, with the prompt before the text",
    ],
    ["longconv-ssm generate model/ -i", "line by line; an empty line goes on, Ctrl-C stops a text, Ctrl-D ends"],
  ])
    .argument("<model>", "converted model: the folder or the .onnx file that convert wrote")
    .option("-p, --prompt <text>", "text to continue; -: what comes through stdin")
    .option("--prompt-file <file>", "text to continue, from a file; -: from stdin")
    .option("--ids <list>", "token ids to continue, separated by commas", tokenIds)
    .option("-i, --interactive", "continue line after line of stdin; with the model's chat template, if it has one")
    .option("--echo", "write what is continued before the text")
    .option("--json-lines", "write a line of JSON for each token, and one for the result")
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
    .option("--regex <pattern>", "a text that matches as a whole, in JavaScript's syntax")
    .option("--json-schema <file>", "a text that is JSON which this schema allows")
    .option("--state <file>", "start after a saved state")
    .option("--save-state <file>", "save the state at the end")
    .option("--force", "replace an existing saved state")
    .option("--beyond", "go on past what is claimed of the model; what comes then may be wrong")
    .option("--beams <n>", "the n most probable texts, by beam search, the best first", integer(1))
    .option("--count <n>", "n sampled texts, the most probable first; the prompt is read once", integer(1))
    .option(
      "--lookup",
      "propose what followed the last tokens before; the text is the same, and comes sooner where it repeats",
    )
    .option("--draft <model>", "propose tokens by a smaller model with the same tokenizer; the text is the same")
    .option("--provider <name>", "execution provider: cpu or webgpu", oneOf(["cpu", "webgpu"]))
    .option("--threads <n>", "threads of one operator", threads);
  return withAction(command, run);
}

async function run(terminal: Terminal, out: string, options: Options): Promise<void> {
  const { saveState, promptFile, state: from, force, interactive, echo } = options;
  refuseTogether(terminal, options);
  refuseSeveral(options);
  const save =
    saveState === undefined
      ? undefined
      : await outputFile(saveState, { models: [modelFileOf(out)], inputs: [promptFile, from], force });
  const model = await openModel(terminal, out, options);
  const draft = options.draft === undefined ? undefined : await openModel(terminal, options.draft, options);
  try {
    const prompt = await promptOf(options);
    const state = from === undefined ? undefined : await readState(model, from);
    const drafter = draft ? draftModel(draft) : options.lookup ? promptLookup() : undefined;
    const constraint = await constraintOf(model, options);
    const settings = { ...chosen(options), ...(drafter && { drafter }), ...(constraint && { constraint }) };
    if (options.beams !== undefined || options.count !== undefined) {
      const start = { ...settings, ...startOf(options, prompt, state) };
      const shown = echo ? echoOf(model, start) : "";
      return await writeSeveral(terminal, model, out, options, { ...start, echo: shown });
    }
    const after = interactive
      ? await converse(
          terminal,
          model,
          { name: out, line: prompt, state, render: await chatTemplate(modelFileOf(out)), echo },
          settings,
        )
      : await once(terminal, model, out, options, { ...settings, ...startOf(options, prompt, state) });
    if (save && after) await save.write(await stateToBytes(model, after));
  } finally {
    await model.close();
    await draft?.close();
  }
}

const startOf = ({ ids }: Options, prompt: string | undefined, state: State | undefined): GenerateOptions => ({
  ...(prompt !== undefined && { prompt }),
  ...(ids && { inputIds: ids }),
  ...(state && { state }),
});

async function once(
  terminal: Terminal,
  model: Model,
  name: string,
  options: Options,
  wanted: GenerateOptions,
): Promise<State | undefined> {
  const { state } = await continueText(terminal, model, name, {
    ...wanted,
    signal: terminal.signal,
    echo: options.echo,
    keep: options.saveState !== undefined,
  });
  return state;
}

function refuseTogether(terminal: Terminal, options: Options): void {
  const { prompt, promptFile, ids, state, interactive } = options;
  const refuse = (reason: string, remedy?: string) => new LongConvError("usage", reason, {}, remedy);
  const prompts = [prompt, promptFile, ids].filter((each) => each !== undefined);
  if (prompts.length > 1) throw refuse("give only one of --prompt, --prompt-file and --ids");
  if (options.json && options.jsonLines) throw refuse("give only one of --json and --json-lines");
  if (!interactive && prompts.length === 0 && state === undefined)
    throw refuse("there is nothing to continue", "Give --prompt, --prompt-file, --ids, --state or --interactive.");
  if (!interactive) return;
  if (prompt === "-" || promptFile === "-") throw refuse("with --interactive, stdin holds the lines to continue");
  if (ids) throw refuse("with --interactive, ids are lines of stdin");
  if (terminal.json === "document")
    throw refuse("--interactive gives more than one document", "Use --json-lines instead of --json.");
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
