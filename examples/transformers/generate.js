/**
 * Greedy text from a folder that `longconv-ssm convert` wrote, with stock transformers.js:
 *
 *     node generate.js FOLDER COUNT TEXT …        prints the continuation of each text, all in one batch
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { env, pipeline } from "@huggingface/transformers";

const USAGE = "usage: node generate.js FOLDER COUNT TEXT …";

const [folder, count, ...texts] = parsed();
// No telemetry of onnxruntime-node, unless the variable says otherwise: it is read when the first session is opened.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
// The folder is on this disk; nothing is looked for elsewhere.
env.allowRemoteModels = false;
// A bare name such as "model" would be looked for in env.localModelPath, not here.
const generate = await pipeline("text-generation", path.resolve(folder));
const batch = await generate(texts, { max_new_tokens: count, do_sample: false });
for (const [{ generated_text }] of batch) console.log(JSON.stringify(generated_text));

function parsed() {
  try {
    const { values, positionals } = parseArgs({
      options: { help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const [folder, count, ...texts] = positionals;
    if (!/^[1-9]\d*$/.test(count ?? "")) throw new Error("COUNT must be a whole number of at least 1");
    if (texts.length === 0) throw new Error("at least one TEXT is needed");
    return [folder, Number(count), ...texts];
  } catch (error) {
    console.error(`${USAGE}\n${error.message}`);
    process.exit(2);
  }
}
