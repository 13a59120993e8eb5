/**
 * The demo: converts the trained model of test/models/demo, streams text from it, and measures it against the exported
 * graph run again for every token. `npm run demo`, or `node dist/scripts/demo.js [OPTIONS]` after a build.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { convert } from "../converter/convert.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";
import { readIds } from "../converter/verify/token-ids.ts";
import { verify } from "../converter/verify.ts";
import { generate, load, type Model } from "../runtime/node.ts";
import { table } from "../src/cli/table.ts";
import { byteSize, scientific } from "../src/cli/terminal.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { convertedMs, type Exported, exportedMs, greedyAgain, openExported, stateBytes } from "./compare.ts";

const USAGE =
  "demo [--model FILE] [--ids FILE] [--out FOLDER] [--prompt TEXT] [--tokens N] [--temperature T] [--seed N] [--contexts N,N,…] [--exact]";
const { values } = readArguments(USAGE, {
  model: { type: "string", default: "test/models/demo/model.onnx" },
  ids: { type: "string", default: "test/models/demo/valid_ids.pb" },
  out: { type: "string", default: "out/demo" },
  prompt: { type: "string", default: "In the beginning" },
  tokens: { type: "string", default: "200" },
  temperature: { type: "string", default: "0.8" },
  seed: { type: "string", default: "9" },
  contexts: { type: "string", default: "64,128,256,512" },
  exact: { type: "boolean", default: false },
});
const tokens = wholeNumber("--tokens", values.tokens);
const temperature = Number(values.temperature);
const continued = { prompt: values.prompt, maxNewTokens: tokens, stopTokens: [] };
const contexts = values.contexts.split(",").map((context) => wholeNumber("--contexts", context));

console.log(`Converting ${values.model} …`);
const beside = await lookBeside(values.model);
const conversion = await convert(values.model, {
  exact: values.exact,
  trainingLength: beside.trainingLength?.positions,
});
await mkdir(path.dirname(path.resolve(values.out)), { recursive: true });
await writeOutput(conversion.model, beside, targetOf(values.out), { force: true, inputs: [values.model] });
const layers = conversion.layers.map(({ index, form, channels, lags, order, error }) =>
  [index, form, channels, lags, order, scientific(error)].map(String),
);
console.log(table([["layer", "form", "channels", "lags", "order", "error"], ...layers]));
console.log(
  `Written to ${values.out}, after a check: largest difference ${scientific(conversion.check.largest)} of the largest output.\n`,
);

const model = await load(values.out);
const exported = await openExported(values.model);
await streamText(model);
await compareGreedy(model, exported);
await measure(model, exported);
await Promise.all([model.close(), exported.close()]);

/** Streams sampled text to stdout. */
async function streamText(model: Model): Promise<void> {
  process.stdout.write(values.prompt);
  const seed = wholeNumber("--seed", values.seed);
  for await (const { text } of generate(model, { ...continued, temperature, seed })) process.stdout.write(text);
  console.log(`\n\nSampled at temperature ${temperature}, seed ${seed}.`);
}

/** How fast it is, and whether the exported graph chooses the same tokens where nothing is left to chance. */
async function compareGreedy(model: Model, exported: Exported): Promise<void> {
  const made: number[] = [];
  let started = 0;
  for await (const { token } of generate(model, continued)) {
    if (made.length === 0) started = performance.now();
    made.push(token);
  }
  const perSecond = (1000 * (made.length - 1)) / (performance.now() - started);
  console.log(`Greedy: ${made.length} tokens, ${perSecond.toFixed(0)} tokens/s.`);
  const prompt = model.tokenizer!.encode(values.prompt);
  let position = 0;
  for await (const { token, gap } of greedyAgain(exported, prompt, made.length)) {
    if (token !== made[position]) {
      console.log(
        `The exported graph, run again for each token, chooses another token at ${position}: its top two logits are ${scientific(gap)} apart.\n`,
      );
      return;
    }
    position++;
  }
  console.log(`The exported graph, run again for each token, gives the same ${made.length} tokens.\n`);
}

/** The table: time per token at several context lengths, state, largest difference. */
async function measure(model: Model, exported: Exported): Promise<void> {
  const ids = Array.from((await readIds(values.ids)).subarray(0, Math.max(...contexts)));
  const { rows } = await verify(values.model, path.join(values.out, "onnx/model.onnx"), {
    ids: Int32Array.from(ids),
    lengths: contexts,
    positions: 1,
  });
  const lines: string[][] = [];
  for (const context of contexts) {
    const again = await exportedMs(exported, ids, context, 5);
    const step = await convertedMs(model, ids, context, 50);
    const largest = rows
      .filter(({ length }) => length === context)
      .reduce((most, row) => Math.max(most, row.largest), 0);
    lines.push([
      String(context),
      again.toFixed(1),
      step.toFixed(2),
      `${(again / step).toFixed(0)}×`,
      scientific(largest),
    ]);
  }
  console.log("One more token (milliseconds, median):");
  console.log(table([["context", "exported again", "converted", "faster", "largest logit difference"], ...lines]));
  console.log(`State: ${byteSize(stateBytes(model))} for each sequence, at any length.`);
}
