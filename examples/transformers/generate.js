/**
 * Greedy text from a folder that `longconv-ssm convert` wrote, with stock transformers.js:
 *
 *     node generate.js FOLDER COUNT TEXT …        prints the continuation of each text, all in one batch
 */
import { env, pipeline } from "@huggingface/transformers";

// The folder is on this disk; nothing is looked for elsewhere.
env.allowRemoteModels = false;

const [folder, count, ...texts] = process.argv.slice(2);
const generate = await pipeline("text-generation", folder);
const batch = await generate(texts, { max_new_tokens: Number(count), do_sample: false });
for (const [{ generated_text }] of batch) console.log(JSON.stringify(generated_text));
