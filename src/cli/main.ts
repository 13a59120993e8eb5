#!/usr/bin/env node
/** The command `longconv-ssm`: one file per command, one row here. */
import { Command } from "commander";
import { CONVERTER_VERSION } from "../../converter/version.ts";
import { ERROR_EXIT_CODES } from "../errors.ts";
import { benchCommand } from "./bench.ts";
import { checkCommand } from "./check.ts";
import { exitCodeLines, printError, runProgram } from "./command.ts";
import { convertCommand } from "./convert.ts";
import { deployCommand } from "./deploy.ts";
import { generateCommand } from "./generate.ts";
import { inspectCommand } from "./inspect.ts";
import { flushed } from "./streams.ts";
import { verifyCommand } from "./verify.ts";

const COMMANDS: readonly (() => Command)[] = [
  inspectCommand,
  convertCommand,
  verifyCommand,
  generateCommand,
  benchCommand,
  checkCommand,
  deployCommand,
];

const program = new Command("longconv-ssm")
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

const code = await runProgram(program, process.argv.slice(2));
// Work that Ctrl-C stopped may still hold threads.
if (code === 130) process.exit(code);
const unwritten = await flushed();
if (unwritten) printError(unwritten);
process.exitCode = unwritten && code === 0 ? ERROR_EXIT_CODES[unwritten.code] : code;
