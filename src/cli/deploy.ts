/** `longconv-ssm deploy genai|triton MODEL -o OUT` */
import { Command } from "commander";
import { type Deployed, deployGenai, deployTriton } from "../../converter/deploy/deploy.ts";
import { STRATEGIES, type Strategy } from "../../converter/deploy/triton.ts";
import { newCommand, withAction } from "./command.ts";
import type { Terminal } from "./terminal.ts";
import { integer, oneOf } from "./values.ts";

interface GenaiOptions {
  readonly out: string;
  readonly contextLength?: number;
  readonly endToken?: readonly number[];
  readonly beyond?: boolean;
  readonly force?: boolean;
}

interface TritonOptions {
  readonly out: string;
  readonly name?: string;
  readonly strategy?: Strategy;
  readonly maxBatchSize?: number;
  readonly logits?: "last" | "all";
  readonly sameBuffer?: boolean;
  readonly beyond?: boolean;
  readonly force?: boolean;
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
    .requiredOption("-o, --out <folder>", "folder to write; without --force it must not exist, or be empty")
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
    .option("--beyond", "let --context-length be more than what is claimed of the model")
    .option("--force", "replace a folder that deploy wrote, once the new one is complete");
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
    .requiredOption("-o, --out <folder>", "model repository to write; without --force it must not exist, or be empty")
    .option("--name <name>", "name of the model in the repository (default: name of the folder or file)")
    .option("--strategy <strategy>", `${STRATEGIES.join(", ")} (default: oldest)`, oneOf(STRATEGIES))
    .option("--max-batch-size <n>", "rows of a batch at most (default: 8, or what the model claims)", integer(1))
    .option(
      "--logits <which>",
      "logits of the last position of a request, or of all (default: last)",
      oneOf(["last", "all"]),
    )
    .option("--same-buffer", "let Triton read and write a state in one buffer")
    .option("--beyond", "let --max-batch-size be more than what is claimed of the model")
    .option("--force", "replace a folder that deploy wrote, once the new one is complete");
  return withAction(command, runTriton);
}

async function runGenai(terminal: Terminal, given: string, options: GenaiOptions): Promise<void> {
  const { out, endToken, ...rest } = options;
  const { signal } = terminal;
  written(terminal, await deployGenai(given, out, { ...rest, endTokens: endToken, signal }));
}

async function runTriton(terminal: Terminal, given: string, options: TritonOptions): Promise<void> {
  const { out, ...rest } = options;
  written(terminal, await deployTriton(given, out, { ...rest, signal: terminal.signal }));
}

function written(terminal: Terminal, deployed: Deployed): void {
  const { output, files } = deployed;
  terminal.print([`written   ${output}`, ...files.map((name) => `          ${name}`)].join("\n"));
  terminal.result(deployed);
}
