/**
 * Greedy text of the demo model, 512 tokens: the converted model's steps against the exported graph, run again for each
 * token over the whole text. Twice: at the text's own length, where ORT's DFT of odd lengths is imprecise, and padded
 * behind to a power of two (the model is causal: what is appended changes nothing before it).
 *
 *     npm run build && node dist/scripts/demo-greedy.js [--tokens 512]
 */
import { convert } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import { openModel } from "../converter/ort/run.ts";
import { INPUT_IDS, LOGITS } from "../src/contract.ts";
import { openConverted, tokenByToken } from "../test/converted.ts";
import { idsTensor, promptIds, rowOf, stepGreedy, topTwo } from "../test/greedy.ts";
import { demoModel } from "../test/testdata.ts";
import { readArguments, wholeNumber } from "./arguments.ts";

const { values } = readArguments("demo-greedy [--tokens N]", { tokens: { type: "string", default: "512" } });
const tokens = wholeNumber("--tokens", values.tokens);
const demo = demoModel();
const { model } = await convert(demo.file, { exact: true, horizon: tokens });
const converted = await openConverted(model);
const original = await openModel(await readModel(demo.file));

const started = performance.now();
const text = await stepGreedy(converted, promptIds(demo.folder, 1), tokens);
console.log(`converted: ${tokens} tokens in ${((performance.now() - started) / 1000).toFixed(1)} s`);
const ours = (await converted.run({ [INPUT_IDS]: idsTensor(text.slice(0, tokens)) }, tokenByToken(tokens)))[LOGITS]!;

for (const padded of [true, false]) {
  const begun = performance.now();
  let largest = 0;
  let same = 0;
  for (let length = 1; length <= tokens; length++) {
    const run = padded ? 2 ** Math.ceil(Math.log2(length)) : length;
    const ids = [...text.slice(0, length), ...new Array<number>(run - length).fill(0)];
    const theirs = rowOf((await original.run({ [INPUT_IDS]: idsTensor(ids) }))[LOGITS]!, length - 1);
    const own = rowOf(ours, length - 1);
    const apart = theirs.reduce((most, value, k) => Math.max(most, Math.abs(value - own[k]!)), 0);
    largest = Math.max(largest, apart);
    const { token, gap } = topTwo(theirs);
    if (token === text[length]) same++;
    // two tokens as close as twice the transform's error may change places
    else
      console.log(
        `  length ${length}: the graph picks ${token}, not ${text[length]}; gap ${gap.toExponential(2)}, logits apart by ${apart.toExponential(2)}${gap <= 2 * apart ? "" : ": NOT explained by rounding"}`,
      );
  }
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(
    `the exported graph again each time, ${padded ? "padded to a power of two" : "at its own length"}: ${same} of ${tokens} tokens the same, logits apart by at most ${largest.toExponential(2)}, ${seconds} s`,
  );
}
await Promise.all([converted.close(), original.close()]);
