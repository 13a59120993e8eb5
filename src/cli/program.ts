/** The program behind the command: one file per command, one row here. */
import { Command } from "commander";
import { CONVERTER_VERSION } from "../../converter/version.ts";
import { exitCodeLines } from "./command.ts";

/** By name, the command: only what was asked for is loaded, which is most of the time that a short command takes. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  inspect: async () => (await import("./inspect.ts")).inspectCommand(),
  convert: async () => (await import("./convert.ts")).convertCommand(),
  verify: async () => (await import("./verify.ts")).verifyCommand(),
  generate: async () => (await import("./generate.ts")).generateCommand(),
  serve: async () => (await import("./serve.ts")).serveCommand(),
  bench: async () => (await import("./bench.ts")).benchCommand(),
  check: async () => (await import("./check.ts")).checkCommand(),
  deploy: async () => (await import("./deploy.ts")).deployCommand(),
  rename: async () => (await import("./rename.ts")).renameCommand(),
};

/** The program with the command that is named first, or with all, where none is: for its help, and for names that are none. */
export async function programFor([name = ""]: readonly string[]): Promise<Command> {
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
  const wanted = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]!] : Object.values(COMMANDS);
  for (const command of await Promise.all(wanted.map((load) => load()))) program.addCommand(command);
  return program;
}
