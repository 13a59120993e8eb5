/** `longconv-ssm deploy genai|triton MODEL -o OUT` */
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { Command } from "commander";
import { genaiConfig, genaiModel } from "../../converter/deploy/genai.ts";
import { STRATEGIES, type Strategy, tritonConfig, tritonModel } from "../../converter/deploy/triton.ts";
import type { Model } from "../../converter/onnx/graph.ts";
import { readModel } from "../../converter/onnx/read.ts";
import { writeNewModel } from "../../converter/onnx/write.ts";
import { type Beside, lookBeside, modelFileOf } from "../../converter/output/beside.ts";
import { copiedFile, type FolderFile, textFile, writeFolder } from "../../converter/output/folder.ts";
import { DATA_FILE } from "../../converter/output/output.ts";
import { refuseTarget } from "../../converter/output/target.ts";
import { LongConvError } from "../errors.ts";
import { newCommand, withAction } from "./command.ts";
import type { Terminal } from "./terminal.ts";
import { integer, oneOf } from "./values.ts";

interface GenaiOptions {
  readonly out: string;
  readonly contextLength?: number;
  readonly endToken?: readonly number[];
  readonly beyond?: boolean;
}

interface TritonOptions {
  readonly out: string;
  readonly name?: string;
  readonly strategy?: Strategy;
  readonly maxBatchSize?: number;
  readonly logits?: "last" | "all";
  readonly sameBuffer?: boolean;
  readonly beyond?: boolean;
}

/** The command with its two subcommands. */
export function deployCommand(): Command {
  return new Command("deploy")
    .description("Write a converted model as a serving stack wants it.")
    .addCommand(genaiCommand())
    .addCommand(tritonCommand());
}

const MODEL = "a converted model: a .onnx file, or a folder that convert wrote";

function genaiCommand(): Command {
  const command = newCommand(
    "genai",
    "For ONNX Runtime GenAI: model.onnx under its names, genai_config.json, tokenizer.",
    [["longconv-ssm deploy genai model/ -o genai/", "then og.Model('genai') in Python, C++, C# or Java"]],
  )
    .argument("<model>", MODEL)
    .requiredOption("-o, --out <folder>", "folder to write; must not exist, or be empty")
    .option(
      "--context-length <n>",
      "tokens of prompt and text together at most (default: 1048576, or what the model claims)",
      integer(1),
    )
    .option(
      "--end-token <id>",
      "token that ends a text; may be repeated (default: as generation_config.json or config.json says)",
      (text: string, before: readonly number[] = []) => [...before, integer(0)(text)],
    )
    .option("--beyond", "let --context-length be more than what is claimed of the model");
  return withAction(command, runGenai);
}

function tritonCommand(): Command {
  const command = newCommand(
    "triton",
    "For Triton Inference Server: a model repository with the state in Triton's hands.",
    [
      ["longconv-ssm deploy triton model/ -o repository/", "then tritonserver --model-repository=repository"],
      [
        "longconv-ssm deploy triton model/ -o repository/ --strategy direct",
        "every sequence keeps its row of the batch",
      ],
      ["longconv-ssm deploy triton model/ -o repository/ --strategy client", "the client carries the states"],
    ],
  )
    .argument("<model>", MODEL)
    .requiredOption("-o, --out <folder>", "model repository to write; must not exist, or be empty")
    .option("--name <name>", "name of the model in the repository (default: name of the folder or file)")
    .option("--strategy <strategy>", `${STRATEGIES.join(", ")} (default: oldest)`, oneOf(STRATEGIES))
    .option("--max-batch-size <n>", "rows of a batch at most (default: 8, or what the model claims)", integer(1))
    .option(
      "--logits <which>",
      "logits of the last position of a request, or of all (default: last)",
      oneOf(["last", "all"]),
    )
    .option("--same-buffer", "let Triton read and write a state in one buffer")
    .option("--beyond", "let --max-batch-size be more than what is claimed of the model");
  return withAction(command, runTriton);
}

async function runGenai(terminal: Terminal, given: string, options: GenaiOptions): Promise<void> {
  refuseOut(options.out);
  const { model, beside } = await source(given);
  const renamed = genaiModel(model);
  const config = genaiConfig(renamed, {
    contextLength: options.contextLength,
    beyond: options.beyond,
    endTokens: options.endToken ?? endTokens(beside),
  });
  await write(terminal, options.out, [
    {
      name: "model.onnx",
      write: (file) => writeNewModel(renamed, file, { signal: terminal.signal, dataFile: DATA_FILE }),
    },
    textFile("genai_config.json", `${JSON.stringify(config, undefined, 2)}\n`),
    ...(beside.tokenizerConfig
      ? [textFile("tokenizer_config.json", `${JSON.stringify(beside.tokenizerConfig, undefined, 2)}\n`)]
      : []),
    ...[...beside.copied].map(([name, from]) => copiedFile(name, from)),
  ]);
}

async function runTriton(terminal: Terminal, given: string, options: TritonOptions): Promise<void> {
  refuseOut(options.out);
  const { strategy, maxBatchSize, sameBuffer, beyond } = options;
  const { model } = await source(given);
  const name = options.name ?? path.basename(path.resolve(given)).replace(/\.onnx$/i, "");
  if (!/^(?!\.+$)[\w.-]+$/.test(name))
    throw new LongConvError(
      "usage",
      `--name ${name}: a name of letters, digits, '_', '-' and '.' is needed, not of dots alone`,
    );
  const served = tritonModel(model, options.logits);
  const config = tritonConfig(served, { name, strategy, maxBatchSize, sameBuffer, beyond });
  await write(terminal, options.out, [
    {
      name: `${name}/1/model.onnx`,
      write: (file) => writeNewModel(served, file, { signal: terminal.signal, dataFile: DATA_FILE }),
    },
    textFile(`${name}/config.pbtxt`, config),
  ]);
}

async function source(given: string): Promise<{ model: Model; beside: Beside }> {
  const file = modelFileOf(given);
  return { model: await readModel(file), beside: await lookBeside(file) };
}

/** Says early that a folder cannot be written: nothing is ever replaced, so there is no --force to name. */
function refuseOut(out: string): void {
  const refuse = (reason: string) => new LongConvError("file-exists", reason, { file: out }, "Choose another folder.");
  if (existsSync(out) && !statSync(out).isDirectory()) throw refuse("is a file, not a folder");
  if (existsSync(out) && readdirSync(out).length > 0) throw refuse("exists already and is not empty");
  refuseTarget({ kind: "folder", path: out }, [], false);
}

async function write(terminal: Terminal, out: string, files: readonly FolderFile[]): Promise<void> {
  await writeFolder(files, out, { signal: terminal.signal });
  const names = files.map(({ name }) => name).sort();
  terminal.print([`written   ${out}`, ...names.map((name) => `          ${name}`)].join("\n"));
  terminal.result({ output: out, files: names });
}

/** As generation_config.json says, else config.json. */
function endTokens({ generationConfig, config }: Beside): number[] {
  const given = generationConfig?.eos_token_id ?? config?.eos_token_id ?? [];
  return [given].flat().filter((id): id is number => typeof id === "number");
}
