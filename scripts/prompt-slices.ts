/**
 * Prompts in slices, on a converted language model: how long 4 096 tokens take by the length of a slice, then prompts of
 * 1 000, 10 000 and 100 000 tokens, and prompts in a single call as other stacks make them, with the memory that the process
 * holds at its peak, each in a process of its own: `node dist/scripts/prompt-slices.js MODEL`.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { load, read } from "../runtime/node.ts";
import { interleave } from "../src/bench/measure.ts";
import { readArguments, wholeNumber } from "./arguments.ts";

const TOKENS = 4096;
const SLICES = [64, 128, 256, 512, 1024, 2048, TOKENS];
const PROMPTS = [1000, 10_000, 100_000];

const SINGLE_CALLS = [2048, 8192, 16_384, 32_768, 65_536];

const { positionals, values } = readArguments(
  "prompt-slices MODEL [TOKENS of one prompt [--single-call]]",
  { "single-call": { type: "boolean", default: false } },
  { least: 1, most: 2 },
);
const [model, tokens] = positionals as [string, string?];
const promptOf = (length: number) => Array.from({ length }, (_, i) => 1 + ((i * 97) % 1000));

if (tokens) await readOne(model, wholeNumber("TOKENS", tokens), values["single-call"]);
else {
  await compareSlices(model);
  const alone = (length: number, ...options: string[]) => {
    const args = [fileURLToPath(import.meta.url), model, String(length), ...options];
    process.stdout.write(execFileSync(process.execPath, args, { encoding: "utf8" }));
  };
  for (const length of PROMPTS) alone(length);
  for (const length of SINGLE_CALLS) alone(length, "--single-call");
}

async function compareSlices(file: string): Promise<void> {
  const models = await Promise.all(SLICES.map((sliceLength) => load(file, { sliceLength })));
  const cases = models.map((each, i) => ({ name: String(SLICES[i]), run: () => read(each, [promptOf(TOKENS)]) }));
  for (const { name, ms } of await interleave(cases, { rounds: 7 }))
    console.log(`slices of ${name.padStart(4)}: ${ms.toFixed(0).padStart(5)} ms for ${TOKENS} tokens`);
  for (const each of models) await each.close();
}

async function readOne(file: string, length: number, isSingle: boolean): Promise<void> {
  const opened = await load(file, isSingle ? { sliceLength: length } : {});
  const begun = performance.now();
  await read(opened, [promptOf(length)]);
  const seconds = ((performance.now() - begun) / 1000).toFixed(2);
  const peak = (process.resourceUsage().maxRSS / 1024).toFixed(0);
  const how = isSingle ? " in one call" : "";
  const each = ((1000 * Number(seconds)) / length).toFixed(3);
  console.log(`${length} tokens${how}: ${seconds} s, ${each} ms a token, resident memory at its peak ${peak} MiB`);
  await opened.close();
}
