/** The last step of a command alone: `child.js KIND SOURCE TARGET [--force]`, with a command's exit codes. */
import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { readModel } from "../../converter/file/read.ts";
import { lookBeside } from "../../converter/output/beside.ts";
import { writeOutput } from "../../converter/output/output.ts";
import { targetOf } from "../../converter/output/target.ts";
import { newCommand, runProgram, withAction } from "../../src/cli/command.ts";
import { outputFile } from "../../src/cli/output-file.ts";
import type { Terminal } from "../../src/cli/terminal.ts";

/** What is written: a model with its weights in it or outside, a folder, a single file such as a state. */
export type Kind = "embedded" | "external" | "folder" | "state";

async function write(
  { signal }: Terminal,
  kind: Kind,
  source: string,
  target: string,
  { force }: { force?: boolean },
): Promise<void> {
  if (kind === "state") return (await outputFile(target, { models: [], force })).write(await readFile(source));
  const model = await readModel(source);
  await writeOutput(model, await lookBeside(source), targetOf(target), {
    force: force === true,
    signal,
    externalData: kind === "embedded" ? "never" : "always",
    // two graphs that share their weights
    step: kind === "folder" ? model : undefined,
  });
}

const command = newCommand("write", "Write.", [])
  .argument("<kind>")
  .argument("<source>")
  .argument("<target>")
  .option("--force");
const code = await runProgram(new Command().addCommand(withAction(command, write)), [
  "write",
  ...process.argv.slice(2),
]);
if (code === 130) process.exit(code);
process.exitCode = code;
