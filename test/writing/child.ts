/** The last step of a command alone: `child.js KIND SOURCE TARGET [--force]`, with a command's exit codes. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Command } from "commander";
import { newCommand, runProgram, withAction } from "../../src/cli/command.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { LongConvError } from "../../src/errors.ts";

/**
 * What is written: a model with its weights in it or outside, a folder, a single file such as a state; what other stacks take; a
 * cache's prefixes, a server's session.
 */
export type Kind = "embedded" | "external" | "folder" | "state" | "genai" | "triton" | "prefixes" | "session";

type Writer = (source: string, target: string, signal: AbortSignal, force: boolean) => Promise<unknown>;

/** Writers of their own; each loads what it needs, for it is started hundreds of times. */
const WRITERS: Readonly<Partial<Record<Kind, Writer>>> = {
  async state(source, target, _, force) {
    const { outputFile } = await import("../../src/cli/output-file.ts");
    await (await outputFile(target, { models: [], force })).write(await readFile(source));
  },
  async genai(source, target, signal, force) {
    const { deployGenai } = await import("../../converter/deploy/deploy.ts");
    await deployGenai(source, target, { signal, force, endTokens: [0] });
  },
  async triton(source, target, signal, force) {
    const { deployTriton } = await import("../../converter/deploy/deploy.ts");
    await deployTriton(source, target, { signal, force, name: "tiny" });
  },
  async prefixes(source, target) {
    const { createPrefixCache, load, read, savePrefixes } = await import("../../runtime/node.ts");
    const model = await load(source);
    const cache = createPrefixCache(model, { leastTokens: 1 });
    for (const beginning of BEGINNINGS) await cache.keep(beginning, await read(model, [beginning]));
    await savePrefixes(cache, target);
    await model.close();
  },
  async session(source, target) {
    const { openSessionFiles } = await import("../../src/serve/session-files.ts");
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
  const { readModel } = await import("../../converter/file/read.ts");
  const { lookBeside } = await import("../../converter/output/beside.ts");
  const { writeOutput } = await import("../../converter/output/output.ts");
  const { targetOf } = await import("../../converter/output/target.ts");
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
