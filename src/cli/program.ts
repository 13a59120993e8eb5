/** The program behind the command: one file per command, one row here. */
import { Command } from "commander";
import { CONVERTER_VERSION } from "../../converter/version.ts";
import { benchCommand } from "./bench.ts";
import { checkCommand } from "./check.ts";
import { exitCodeLines } from "./command.ts";
import { convertCommand } from "./convert.ts";
import { deployCommand } from "./deploy.ts";
import { generateCommand } from "./generate.ts";
import { inspectCommand } from "./inspect.ts";
import { renameCommand } from "./rename.ts";
import { serveCommand } from "./serve.ts";
import { verifyCommand } from "./verify.ts";

const COMMANDS: readonly (() => Command)[] = [
  inspectCommand,
  convertCommand,
  verifyCommand,
  generateCommand,
  serveCommand,
  benchCommand,
  checkCommand,
  deployCommand,
  renameCommand,
];

export const program = new Command("longconv-ssm")
  .description("Turns exported long-convolution ONNX models into recurrent ones, and generates from them.")
  .version(CONVERTER_VERSION)
  .addHelpText(
    "after",
    () =>
      `\nExit codes:\n${exitCodeLines()
        .map((line) => `  ${line}`)
        .join("\n")}`,
  );
for (const command of COMMANDS) program.addCommand(command());
