/**
 * Walks the newcomer's path: clones what is committed, runs the README's commands as they stand there, packs the clone, and
 * uses the package in a project of its own, by the commands and the examples of the README.
 *
 *     npm run build && node dist/scripts/newcomer.js            without the second command, which takes long
 *     npm run build && node dist/scripts/newcomer.js --tests    with it
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { transform } from "esbuild";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { readArguments } from "./arguments.ts";
import { ROOT } from "./root.ts";

/** Blocks of code of a page, by language, in its order. */
const blocksOf = (page: string, language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map((match) => match[1]!);

/** The only one of some blocks with a text in it. */
function only(blocks: readonly string[], text: string): string {
  const [found, ...more] = blocks.filter((block) => block.includes(text));
  if (!found || more.length > 0) throw new Error(`the README has not one block with ${text}`);
  return found;
}

/** Runs a command and says how long it took; ends the process where it fails. */
function run(command: string, cwd: string): void {
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync(command, { cwd, encoding: "utf8", shell: true, maxBuffer: 2 ** 28 });
  const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(7);
  console.log(`${status === 0 ? "ok    " : "failed"} ${seconds} s  ${command.trim().split("\n")[0]}`);
  if (status === 0) return;
  console.error(stdout.split("\n").slice(-40).join("\n"), stderr.split("\n").slice(-40).join("\n"));
  process.exit(1);
}

const { values } = readArguments("newcomer.js [--tests]", { tests: { type: "boolean", default: false } });
const folder = await temporaryFolder();
try {
  const clone = path.join(folder.path, "longconv-ssm");
  run(`git clone -q ${ROOT} ${clone}`, folder.path);
  const readme = readFileSync(path.join(clone, "README.md"), "utf8");
  const commands = blocksOf(readme, "sh");
  run(only(commands, "npm run demo\n"), clone);
  if (values.tests) run(only(commands, "npm test"), clone);
  run(only(commands, "npm run pack"), clone);

  const project = path.join(folder.path, "project");
  mkdirSync(project);
  writeFileSync(path.join(project, "package.json"), JSON.stringify({ type: "module", private: true }));
  run(only(commands, "onnxruntime-node"), project);
  const demo = (name: string) => path.join(clone, "test", "models", "demo", name);
  copyFileSync(demo("model.onnx"), path.join(project, "model.onnx"));
  copyFileSync(demo("tokenizer.json"), path.join(project, "tokenizer.json"));
  // any text is held back from this model
  writeFileSync(path.join(project, "held-out.txt"), readme);
  // the server runs until it is ended: test/serve/command.test.ts
  for (const line of only(commands, "longconv-ssm inspect").trim().split("\n"))
    if (!line.includes(" serve ")) run(line, project);
  for (const [k, example] of blocksOf(readme, "js").entries()) {
    const { code } = await transform(example, { loader: "ts", format: "esm", target: "node20" });
    writeFileSync(path.join(project, `example-${k}.mjs`), code);
    run(`node example-${k}.mjs`, project);
  }
} finally {
  await folder.remove();
}
