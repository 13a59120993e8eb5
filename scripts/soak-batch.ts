/**
 * Sequences that join a batch, are aborted and leave at random, for minutes: every text is that of the sequence alone, or
 * parts from it where rounding decides.
 *
 *     npm run build && node dist/scripts/soak-batch.js --minutes 10
 */
import path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { convert } from "../converter/convert.ts";
import { writeModel } from "../converter/file/write.ts";
import { type Batch, createBatch } from "../runtime/generate/batch/batch.ts";
import { generate } from "../runtime/generate/generate.ts";
import type { GenerateOptions, Piece } from "../runtime/generate/options.ts";
import type { Model } from "../runtime/model/model.ts";
import { load } from "../runtime/node.ts";
import { LongConvError } from "../src/errors.ts";
import { uniform } from "../src/random.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { ROOT } from "./root.ts";

/** Different requests, and sequences that are there at once. */
const REQUESTS = 60;
const AT_ONCE = 16;
/** Of the largest logit: what another order of additions changes. Batches of other sizes are multiplied in another order. */
const ROUNDING = 2e-5;

const { values } = readArguments("soak-batch.js [--minutes N | --requests N] [--model FILE] [--seed N]", {
  minutes: { type: "string", default: "10" },
  requests: { type: "string" },
  model: { type: "string", default: path.join(ROOT, "test", "models", "zoo", "tnn-time-second", "model.onnx") },
  seed: { type: "string", default: "1" },
});
const most = values.requests === undefined ? Number.POSITIVE_INFINITY : wholeNumber("--requests", values.requests);
const endMs =
  most < Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : 6e4 * wholeNumber("--minutes", values.minutes);
const draw = uniform(wholeNumber("--seed", values.seed));
const below = (count: number) => Math.floor(count * draw());

/** Greedy or sampled, of any length. */
function requestFor(vocabulary: number): GenerateOptions {
  const inputIds = Array.from({ length: 1 + below(40) }, () => below(vocabulary));
  const common = { inputIds, maxNewTokens: 1 + below(60), beyond: true, returnLogits: true };
  if (draw() < 0.5) return common;
  return { ...common, seed: below(1000), temperature: 0.5 + draw(), topP: 0.9, repetitionPenalty: 1 + 0.3 * draw() };
}

/** What came of one sequence. */
type Fate = "finished" | "aborted" | "left";
const counts = { finished: 0, aborted: 0, left: 0, tokens: 0, parted: 0, wrong: 0 };
let largest = 0;

/** What is wrong with a sequence's pieces, held against those that it has alone. */
function faultOf(pieces: readonly Piece[], expected: readonly Piece[], fate: Fate): string | undefined {
  for (const [k, { token, logits }] of pieces.entries()) {
    const own = expected[k];
    if (!own) return `${pieces.length} tokens, alone ${expected.length}`;
    const scale = own.logits!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const apart = logits!.reduce((most, value, i) => Math.max(most, Math.abs(value - own.logits![i]!)), 0) / scale;
    largest = Math.max(largest, apart);
    if (!(apart <= ROUNDING)) return `logits differ by ${apart} of the largest at token ${k}`;
    // with logits that are equal up to rounding, another token is a tie
    if (token !== own.token) {
      counts.parted++;
      return undefined;
    }
  }
  const isShort = fate === "finished" && pieces.length !== expected.length;
  return isShort ? `${pieces.length} tokens, alone ${expected.length}` : undefined;
}

function wrong(sentence: string): void {
  counts.wrong++;
  console.log(sentence);
}

/** One sequence: read to its end at any speed, left, or aborted. */
async function sequence(batch: Batch, request: GenerateOptions, expected: readonly Piece[]): Promise<void> {
  const stop = new AbortController();
  const fate = draw();
  const after = below(expected.length);
  const pieces: Piece[] = [];
  let how: Fate = "finished";
  try {
    for await (const piece of batch.add({ ...request, signal: stop.signal })) {
      pieces.push(piece);
      for (let wait = draw() < 0.1 ? below(30) : 0; wait > 0; wait--) await turn();
      if (pieces.length <= after) continue;
      if (fate < 0.2) stop.abort();
      else if (fate < 0.4) {
        how = "left";
        break;
      }
    }
  } catch (error) {
    if (!(error instanceof LongConvError) || error.code !== "aborted") throw error;
    how = "aborted";
  }
  counts[how]++;
  counts.tokens += pieces.length;
  const fault = faultOf(pieces, expected, how);
  if (fault) wrong(fault);
}

async function alone(model: Model, request: GenerateOptions): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of generate(model, request)) pieces.push(piece);
  return pieces;
}

const folder = await temporaryFolder();
try {
  const file = path.join(folder.path, "model.onnx");
  await writeModel((await convert(values.model, { exact: true, horizon: 64 })).model, file);
  const model = await load(file, { onRemark: () => undefined });
  const requests = Array.from({ length: REQUESTS }, () => requestFor(model.language!.vocabulary));
  const texts: Piece[][] = [];
  for (const request of requests) texts.push(await alone(model, request));
  const batch = createBatch(model, { maxBatchSize: 12, maxUnread: 8, beyond: true });
  const began = performance.now();
  let [started, early] = [0, 0];
  const worker = async () => {
    while (started < most && performance.now() - began < endMs) {
      const which = below(REQUESTS);
      if (++started === 500) early = process.memoryUsage.rss();
      for (let wait = below(20); wait > 0; wait--) await turn();
      await sequence(batch, requests[which]!, texts[which]!);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (batch.size.running + batch.size.waiting > 0) wrong(`${batch.size.running} sequences are still there`);
  const seconds = Math.round((performance.now() - began) / 1000);
  await model.close();
  console.log(JSON.stringify({ ...counts, largest, seconds, bytes: [early, process.memoryUsage.rss()] }));
} finally {
  await folder.remove();
}
if (counts.wrong > 0) process.exitCode = 1;
