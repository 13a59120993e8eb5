/** Writes docs/cli.md from the commands' own help: `node dist/scripts/cli-docs.js` after a build. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { exitCodeLines } from "../src/cli/command.ts";
import { noArguments } from "./arguments.ts";

noArguments("cli-docs");

const command = new URL("../src/cli/main.js", import.meta.url).pathname;
const help = (...args: string[]) => execFileSync(process.execPath, [command, ...args, "--help"], { encoding: "utf8" });
/** Every command, subcommands behind their own. */
function commands(...parents: string[]): string[][] {
  const [, list = ""] = /\nCommands:\n((?: {2}.*\n)+)/.exec(help(...parents)) ?? [];
  const names = [...list.matchAll(/^ {2}([a-z]+)/gm)].map((match) => match[1]!).filter((name) => name !== "help");
  return names.flatMap((name) => [[...parents, name], ...commands(...parents, name)]);
}

const sections = commands().map((words) => {
  const [usage] = help(...words).split("\nExit codes:");
  return `## ${words.join(" ")}\n\n\`\`\`text\n${usage!.trimEnd()}\n\`\`\`\n`;
});
const page = `# The command \`longconv-ssm\`

In a checkout: \`npm run build\`, then \`node dist/src/cli/main.js COMMAND\`; \`npx longconv-ssm COMMAND\` where the package is
installed. This page is written by \`node dist/scripts/cli-docs.js\` from the commands' own help.

- **Output.** Reports go to stdout, errors and remarks to stderr. With \`--json\`, stdout holds one JSON document and
  nothing else; after an error it is \`{"error": {"code", "reason", "file", "node", "operator", "source", "remedy", "page"}}\`, with the
  fields that are known. Numbers that JSON lacks are strings: \`"Infinity"\`, \`"NaN"\`.
- **Lines** are as long as the terminal is wide, or \`COLUMNS\` says; in a pipe, those of reports have any length, and those of
  the help 80 columns.
- **Progress** is shown on stderr: on a terminal from the first second on, as a line with the time since the command began;
  in a pipe only where \`--progress plain\` or \`--progress json\` asks for lines, one where a step begins and ends and
  one each second between. A JSON line is \`{"progress": {"step", "done", "total", "seconds"}}\`, without \`total\` where it is not
  known.
- **Files.** An output appears whole or not at all: it is written in a hidden folder beside its place, whose name ends in
  \`.longconv-PROCESS-…\`, and takes its place by one rename; a folder that replaces another by an exchange of the two (Linux
  and macOS; elsewhere, and on file systems that know no exchange, by two renames, and where a process is killed between
  them, the next run puts the old folder back). Weights outside of a single file have the name of their content,
  \`NAME.HASH.onnx_data\`; those of the old model are removed once the new one is there and no other model beside it names
  them. What a killed run has left goes with the next run that writes to the same place.
  What exists is replaced only with \`--force\`, and only once the new output is complete. An input is never overwritten,
  and a folder is only replaced where longconv-ssm wrote it and nobody added to it, also with \`--force\`.
- **Exit codes are the truth.** A reader of stdout that leaves early (\`| head\`) ends no work but a text that nobody reads,
  and hides no verdict; where stdout cannot be written (a full disk) the code is 3, if nothing else is wrong.
- **Line after line.** \`generate --interactive\` reads a line of stdin, continues it, and reads the next one from the state
  that is there. With the model's chat template (chat_template.jinja, or \`chat_template\` in tokenizer_config.json) a line is
  what the user says in a conversation; else the line goes on below the text, and an empty one right behind it. On a
  terminal Ctrl-C stops a text, and ends the command between texts; in a pipe it ends with stdin.
- **Ctrl-C**, SIGTERM and SIGHUP (a closed terminal) remove temporary files and end with 130, also while ONNX Runtime
  computes. A second one ends at once.
- **A process of its own** runs the models. It is ended where it takes more than \`--memory\` or \`--timeout\`, and where ONNX
  Runtime crashes on a model the command says so: [memory-exceeded, time-exceeded, runtime-failed](errors.md). It ends with
  the process that started it.

## Exit codes

Every code in brackets, with an example and what helps: [errors](errors.md).

\`\`\`text
${exitCodeLines().join("\n")}
\`\`\`

${sections.join("\n")}`;
writeFileSync("docs/cli.md", page);
