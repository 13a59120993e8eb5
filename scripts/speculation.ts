/**
 * Where drafts pay: the time of a run by the tokens that it reads, then texts of several kinds without drafts, with those
 * of the text itself, and with those of a draft model.
 *
 *     npm run demo && node dist/scripts/speculation.js
 */

import type { GenerateOptions, Piece } from "../runtime/generate/options.ts";
import { type Drafter, draftModel, generate, load, promptLookup, read } from "../runtime/node.ts";
import { readAhead } from "../runtime/speculate/read-ahead.ts";
import { interleave } from "../src/bench/measure.ts";
import { table } from "../src/cli/table.ts";
import { readArguments, wholeNumber } from "./arguments.ts";

/** What another order of additions changes a logit by, at most. */
const ROUNDING = 1e-3;

const { values } = readArguments(
  "speculation [--model FOLDER] [--draft FOLDER] [--tokens N] [--rounds N] [--threads N]",
  {
    model: { type: "string", default: "out/demo" },
    draft: { type: "string", default: "out/demo" },
    tokens: { type: "string", default: "200" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: "1" },
  },
);
const maxNewTokens = wholeNumber("--tokens", values.tokens);
const rounds = wholeNumber("--rounds", values.rounds);
const model = await load(values.model, { onRemark: () => {}, threads: wholeNumber("--threads", values.threads) });
const draft = await load(values.draft, { onRemark: () => {}, threads: wholeNumber("--threads", values.threads) });

const state = await read(model, ["In the beginning"]);
const widths = [1, 2, 4, 8, 16, 32];
const runs = widths.map((width) => {
  const tokens = Array.from({ length: width }, (_, at) => 5 + at);
  return { name: String(width), run: () => readAhead(model, tokens, state, width) };
});
console.log("ms of a run, by the tokens that it reads:");
const timed = await interleave(runs, { rounds });
console.log(
  table([
    ["tokens", ...widths.map(String)],
    ["ms", ...timed.map(({ ms }) => ms.toFixed(2))],
  ]),
);

const PSALM =
  "O give thanks unto the LORD; for he is good: for his mercy endureth for ever.\nO give thanks unto the God of gods: for his mercy endureth for ever.\nO give thanks to the Lord of lords: for his mercy endureth for ever.\nTo him who alone doeth great wonders:";
const texts: readonly (readonly [string, GenerateOptions])[] = [
  ["greedy", { prompt: "In the beginning" }],
  ["greedy, of a prompt that repeats", { prompt: PSALM }],
  ["sampled, temperature 0.8", { prompt: "In the beginning", temperature: 0.8, seed: 9 }],
  ["sampled, of a prompt that repeats", { prompt: PSALM, temperature: 0.8, seed: 9 }],
];
const drafters: readonly (readonly [string, Drafter | undefined])[] = [
  ["no drafts", undefined],
  ["lookup", promptLookup()],
  ["draft model", draftModel(draft)],
];
const lines: string[][] = [];
let [same, parted, wrong, largest] = [0, 0, 0, 0];
for (const [name, options] of texts) {
  const made: Piece[][] = [];
  const cases = drafters.map(([, drafter], at) => ({
    name: String(at),
    async run() {
      const all = { ...options, maxNewTokens, stopTokens: [], beyond: true, returnLogits: true };
      made[at] = [];
      for await (const piece of generate(model, { ...all, ...(drafter && { drafter }) })) made[at].push(piece);
    },
  }));
  const times = await interleave(cases, { rounds });
  lines.push([name, ...times.map(({ ms }) => ((1000 * maxNewTokens) / ms).toFixed(0))]);
  for (const each of made.slice(1)) compare(made[0]!, each);
}

/** Up to the first token that is another one: logits of several positions at once are those of single steps but for rounding. */
function compare(alone: readonly Piece[], drafted: readonly Piece[]): void {
  const parts = alone.findIndex(({ token }, at) => token !== drafted[at]?.token);
  let apart = 0;
  for (const [at, { logits }] of alone.slice(0, parts < 0 ? undefined : parts + 1).entries())
    for (const [id, logit] of logits!.entries()) apart = Math.max(apart, Math.abs(logit - drafted[at]!.logits![id]!));
  largest = Math.max(largest, apart);
  if (apart > ROUNDING) wrong++;
  else if (parts >= 0) parted++;
  else same++;
}
console.log(`tokens/s, ${maxNewTokens} tokens:`);
console.log(table([["text", ...drafters.map(([name]) => name)], ...lines]));
console.log(
  `${same} texts are the same with drafts, ${parted} part where rounding decides (logits are apart by ${largest.toExponential(1)} at most), ${wrong} are others.`,
);
await Promise.all([model.close(), draft.close()]);
if (wrong > 0) process.exit(1);
