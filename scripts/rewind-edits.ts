/**
 * Random edits of a long text, each equal to reading it anew, with the times of both; anywhere in the text, then in its
 * last tenth, as the last message of a conversation is edited:
 *
 *     npm run demo && node dist/scripts/rewind-edits.js
 */
import { quantile } from "d3-array";
import { readIds } from "../converter/verify/token-ids.ts";
import { load } from "../runtime/node.ts";
import { table } from "../src/cli/table.ts";
import { byteSize, scientific } from "../src/cli/terminal.ts";
import { readArguments, refuse, wholeNumber } from "./arguments.ts";
import { type Edited, editAgain } from "./edits.ts";

/** Another order of additions changes so much of the largest number. */
const ROUNDING = 1e-4;

const { values } = readArguments(
  "rewind-edits [--model FOLDER] [--ids FILE] [--edits N] [--tokens N] [--bytes N] [--threads N]",
  {
    model: { type: "string", default: "out/demo" },
    ids: { type: "string", default: "test/models/demo/valid_ids.pb" },
    edits: { type: "string", default: "1000" },
    tokens: { type: "string", default: "4000" },
    bytes: { type: "string", default: String(2 ** 26) },
    threads: { type: "string", default: "1" },
  },
);
const [edits, tokens, maxBytes] = (["edits", "tokens", "bytes"] as const).map((name) =>
  wholeNumber(`--${name}`, values[name]),
) as [number, number, number];

const model = await load(values.model, { onRemark: () => {}, threads: wholeNumber("--threads", values.threads) });
const given = Array.from(await readIds(values.ids), Number);
const text = Array.from({ length: tokens }, (_, at) => given[at % given.length]!);
if (given.some((id) => id >= model.language!.vocabulary)) refuse("the ids are not those of the model");

const heads = ["edits", "number", "ms, median", "95 %", "anew: ms, median", "95 %", "largest difference", "wrong"];
console.log(`${tokens} tokens, states of at most ${byteSize(maxBytes)}:`);
let wrongs = 0;
for (const [place, last, count] of [
  ["anywhere", undefined, edits],
  ["last tenth", Math.floor(tokens / 10), Math.ceil(edits / 5)],
] as const) {
  const done: Edited[] = [];
  const options = { edits: count, seed: 1, history: { maxBytes }, ...(last && { last }) };
  for await (const edit of editAgain(model, text, options)) done.push(edit);
  const wrong = done.filter(({ apart }) => !(apart <= ROUNDING));
  const largest = Math.max(...done.map(({ apart }) => apart));
  const of = (name: "ms" | "anewMs", part: number) =>
    quantile(
      done.map((edit) => edit[name]),
      part,
    )!.toFixed(1);
  wrongs += wrong.length;
  const line = [
    ...[place, String(count), of("ms", 0.5), of("ms", 0.95), of("anewMs", 0.5), of("anewMs", 0.95)],
    ...[scientific(largest), String(wrong.length)],
  ];
  console.log(table([heads, line]));
}
await model.close();
if (wrongs > 0) process.exit(1);
