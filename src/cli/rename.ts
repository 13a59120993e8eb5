/** `longconv-ssm rename MODEL -o OUT` */
import { type Command, InvalidArgumentError } from "commander";
import { encodeModel } from "../../converter/file/encode.ts";
import { readModel } from "../../converter/file/read.ts";
import { modelFileOf } from "../../converter/output/beside.ts";
import { renameStates } from "../../converter/rename/rename.ts";
import { newCommand, withAction } from "./command.ts";
import { outputFile } from "./output-file.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { told } from "./values.ts";

interface Options {
  readonly out: string;
  readonly state?: Readonly<Record<string, string>>;
  readonly initial?: Readonly<Record<string, number>>;
  readonly force?: boolean;
}

/** The command's arguments and examples. */
export function renameCommand(): Command {
  const command = newCommand(
    "rename",
    "Write a model that carries its state already under the state contract's names.",
    [
      [
        "longconv-ssm rename vad.onnx -o recurrent.onnx",
        "state and stateN, h0 and hn, cached_* and new_cached_* by name",
      ],
      ["longconv-ssm rename dtln.onnx -o recurrent.onnx --state input_3=tf_op_layer_stack_2", "as told"],
    ],
  )
    .argument("<model>", "a .onnx file whose inputs go on from its outputs, made by anybody")
    .requiredOption("-o, --out <file>", "file to write")
    .option("--state <input=output>", "which output a state goes on from; may be repeated", told)
    .option(
      "--initial <input=number>",
      "what a state holds before anything is read (default: 0); may be repeated",
      start,
    )
    .option("--force", "replace the file, once the new one is complete");
  return withAction(command, run);
}

function start(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const [[name, value]] = Object.entries(told(text)) as [[string, string]];
  if (!Number.isFinite(Number(value))) throw new InvalidArgumentError("It must be an input and a number: h=-1.");
  return { ...before, [name]: Number(value) };
}

async function run(terminal: Terminal, given: string, { out, state, initial, force }: Options): Promise<void> {
  const file = modelFileOf(given);
  const output = await outputFile(out, { models: [file], force });
  const { model, states } = renameStates(await readModel(file), { states: state, initial });
  await output.write(encodeModel(model));
  const rows = states.map(({ was, past, present, dims }) => [
    `${was.past} → ${was.present}`,
    past,
    present,
    `[${dims.join(", ")}]`,
  ]);
  terminal.print([table([["was", "past", "present", "shape"], ...rows]), "", `written   ${output.path}`].join("\n"));
  terminal.result({ source: file, output: output.path, states });
}
