/**
 * Requests over a few long system prompts, with and without a prefix cache: tokens of prompt that are read, and the time
 * to the first token. Requests come one after the other, each once with the cache and once without.
 *
 *     npm run demo && node dist/scripts/prefix-cache.js
 */
import { quantile } from "d3-array";
import { readIds } from "../converter/verify/token-ids.ts";
import { createPrefixCache, generate, load, type PrefixCache } from "../runtime/node.ts";
import { table } from "../src/cli/table.ts";
import { byteSize } from "../src/cli/terminal.ts";
import { uniform } from "../src/random.ts";
import { readArguments, wholeNumber } from "./arguments.ts";

const USAGE =
  "prefix-cache [--model FOLDER] [--ids FILE] [--requests N] [--prompts N] [--tokens N of a system prompt] [--threads N]";
const { values } = readArguments(USAGE, {
  model: { type: "string", default: "out/demo" },
  ids: { type: "string", default: "test/models/demo/valid_ids.pb" },
  requests: { type: "string", default: "1000" },
  prompts: { type: "string", default: "20" },
  tokens: { type: "string", default: "1000" },
  threads: { type: "string", default: "1" },
});
const [requests, prompts, tokens] = (["requests", "prompts", "tokens"] as const).map((name) =>
  wholeNumber(`--${name}`, values[name]),
) as [number, number, number];

const model = await load(values.model, { onRemark: () => {}, threads: wholeNumber("--threads", values.threads) });
const text = Array.from(await readIds(values.ids), Number);
const draw = uniform(1);
const below = (count: number) => Math.floor(count * draw());
const part = (length: number) => {
  const from = below(text.length);
  return Array.from({ length }, (_, at) => text[(from + at) % text.length]!);
};
const systems = Array.from({ length: prompts }, () => part(tokens));
const cache = createPrefixCache(model);

async function first(inputIds: number[], used?: PrefixCache) {
  const begun = performance.now();
  for await (const { token, prompt, logits } of generate(model, {
    ...{ inputIds, maxNewTokens: 1, beyond: true, returnLogits: true },
    ...(used && { cache: used }),
  }))
    return {
      token,
      logits: logits!,
      ms: performance.now() - begun,
      read: inputIds.length - (prompt?.cachedTokens ?? 0),
    };
  throw new Error("no token");
}

type First = Awaited<ReturnType<typeof first>>;
const cached: First[] = [];
const plain: First[] = [];
let [parted, apart] = [0, 0];
for (let request = 0; request < requests; request++) {
  const inputIds = [...systems[below(prompts)]!, ...part(10 + below(40))];
  const runs = [() => first(inputIds, cache), () => first(inputIds)];
  // Turn about, so that neither is always the first to read these words.
  const order = request % 2 ? [0, 1] : [1, 0];
  const results: First[] = [];
  for (const at of order) results[at] = await runs[at]!();
  cached.push(results[0]!);
  plain.push(results[1]!);
  if (results[0]!.token !== results[1]!.token) parted++;
  for (const [id, logit] of results[0]!.logits.entries())
    apart = Math.max(apart, Math.abs(logit - results[1]!.logits[id]!));
}
const row = (name: string, all: readonly First[]) => {
  const ms = all.map((each) => each.ms);
  const read = all.reduce((sum, each) => sum + each.read, 0);
  return [name, String(read), ...[0.5, 0.95, 0.99].map((at) => quantile(ms, at)!.toFixed(1))];
};
console.log(`${requests} requests over ${prompts} system prompts of ${tokens} tokens, and 10 to 49 of their own:`);
console.log(
  table([
    ["", "tokens of prompt read", "ms to the first token, median", "95 %", "99 %"],
    row("without", plain),
    row("with a prefix cache", cached),
  ]),
);
const { states, bytes } = cache.stats;
console.log(`${states} states of ${byteSize(bytes)} are kept.`);
console.log(`${parted} first tokens differ; logits are apart by ${apart.toExponential(1)} at most.`);
await model.close();
