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
- **Progress** is shown on a terminal, on stderr, from the first second on; never in a pipe.
- **Files.** An output appears whole or not at all: it is written under a temporary name beside its place and renamed.
  What exists is replaced only with \`--force\`, and only once the new output is complete. An input is never overwritten,
  and a folder is only replaced where longconv-ssm wrote it and nobody added to it, also with \`--force\`.
- **Ctrl-C** removes temporary files and ends with 130. A second one ends at once.

## Exit codes

Every code in brackets, with an example and what helps: [errors](errors.md).

\`\`\`text
${exitCodeLines().join("\n")}
\`\`\`

${sections.join("\n")}`;
writeFileSync("docs/cli.md", page);
