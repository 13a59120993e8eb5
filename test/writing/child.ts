/** The last step of a command alone: `child.js KIND SOURCE TARGET [--force]`, with a command's exit codes. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Command } from "commander";
import { deployGenai, deployTriton } from "../../converter/deploy/deploy.ts";
import { readModel } from "../../converter/file/read.ts";
import { lookBeside } from "../../converter/output/beside.ts";
import { writeOutput } from "../../converter/output/output.ts";
import { targetOf } from "../../converter/output/target.ts";
import { createPrefixCache, load, read, savePrefixes } from "../../runtime/node.ts";
import { newCommand, runProgram, withAction } from "../../src/cli/command.ts";
import { outputFile } from "../../src/cli/output-file.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { LongConvError } from "../../src/errors.ts";
import { openSessionFiles } from "../../src/serve/session-files.ts";

/**
 * What is written: a model with its weights in it or outside, a folder, a single file such as a state; what other stacks take; a
 * cache's prefixes, a server's session.
 */
export type Kind = "embedded" | "external" | "folder" | "state" | "genai" | "triton" | "prefixes" | "session";

type Writer = (source: string, target: string, signal: AbortSignal, force: boolean) => Promise<unknown>;

/** Writers of their own. */
const WRITERS: Readonly<Partial<Record<Kind, Writer>>> = {
  state: async (source, target, _, force) =>
    (await outputFile(target, { models: [], force })).write(await readFile(source)),
  genai: (source, target, signal, force) => deployGenai(source, target, { signal, force, endTokens: [0] }),
  triton: (source, target, signal, force) => deployTriton(source, target, { signal, force, name: "tiny" }),
  async prefixes(source, target) {
    const model = await load(source);
    const cache = createPrefixCache(model, { leastTokens: 1 });
    for (const beginning of BEGINNINGS) await cache.keep(beginning, await read(model, [beginning]));
    await savePrefixes(cache, target);
    await model.close();
  },
  async session(source, target) {
    const { files } = await openSessionFiles(path.dirname(target), () => undefined);
    const session = { id: path.basename(target, ".session"), owner: "", model: "tiny", ids: [1, 2, 3] };
    await files.write({ ...session, state: await readFile(source) }).catch((error: Error) => {
      throw new LongConvError("file-unwritable", error.message, { file: target });
    });
  },
};

const BEGINNINGS = [
  [1, 2, 3],
  [1, 2, 4, 5],
  [7, 8],
];

async function write(
  { signal }: Terminal,
  kind: Kind,
  source: string,
  target: string,
  { force }: { force?: boolean },
): Promise<void> {
  const writer = WRITERS[kind];
  if (writer) return void (await writer(source, target, signal, force === true));
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
