/**
 * What the runtime costs on top of the bare `session.run`, per decode step of a converted language model, greedy:
 * `node dist/scripts/runtime-overhead.js MODEL [STEPS] [THREADS]`. Bare and whole runs alternate; medians are printed.
 */

import { generate } from "../runtime/generate.ts";
import { load } from "../runtime/node.ts";
import { readTokens } from "../runtime/read.ts";
import type { Model } from "../runtime/session.ts";
import { zeroState } from "../runtime/step.ts";
import { ATTENTION_MASK, INPUT_IDS, LOGITS, NUM_LOGITS_TO_KEEP } from "../src/contract.ts";

/** Steps in a row before the other kind has its turn. */
const ROUND = 50;

const [path, stepsText = "2000", threadsText = "1"] = process.argv.slice(2);
if (!path) {
  console.error("usage: runtime-overhead MODEL [STEPS] [THREADS]");
  process.exit(2);
}
const model = await load(path, { threads: Number(threadsText) });
const rounds = Math.ceil(Number(stepsText) / ROUND);
const kinds = { bare: await bareSteps(model), step: tokenSteps(model), generate: generateSteps(model) };
const times: Record<string, number[]> = { bare: [], step: [], generate: [] };
for (let round = -2; round < rounds; round++) {
  for (const [kind, next] of Object.entries(kinds)) {
    for (let index = 0; index < ROUND; index++) {
      const start = performance.now();
      await next();
      // The first two rounds warm up.
      if (round >= 0) times[kind]!.push(performance.now() - start);
    }
  }
}
const bare = median(times.bare!);
console.log(`session.run alone        ${bare.toFixed(4)} ms a step`);
for (const kind of ["step", "generate"]) {
  const time = median(times[kind]!);
  console.log(`${kind.padEnd(24)} ${time.toFixed(4)} ms a step, ${(time - bare).toFixed(4)} ms above`);
}
await model.close();

/** The states go from output to input; nothing else is done. */
async function bareSteps({ session, states, language, backend: { Tensor } }: Model): Promise<() => Promise<void>> {
  let { tensors } = zeroState(model);
  const type = language!.idType;
  const id = type === "int64" ? new Tensor(type, [1n], [1, 1]) : new Tensor(type, [1], [1, 1]);
  return async () => {
    const feeds = Object.fromEntries(states.map(({ past }, index) => [past, tensors[index]!]));
    feeds[INPUT_IDS] = id;
    if (language!.hasMask) feeds[ATTENTION_MASK] = new Tensor("int64", [1n], [1, 1]);
    if (language!.hasNumLogitsToKeep) feeds[NUM_LOGITS_TO_KEEP] = new Tensor("int64", [1n], []);
    const results = await session.run(feeds);
    tensors = states.map(({ present }) => results[present]!);
    if (!results[LOGITS]) throw new Error("no logits");
  };
}

/** The runtime's decode step, without choosing a token. */
function tokenSteps(model: Model): () => Promise<void> {
  let state = zeroState(model);
  let spare = zeroState(model);
  return async () => {
    const next = await readTokens(model, [1], state, spare);
    spare = state;
    state = next;
  };
}

/** All of `generate`: step, greedy choice, text where the folder has a tokenizer. */
function generateSteps(model: Model): () => Promise<void> {
  const pieces = generate(model, { inputIds: [1], maxNewTokens: Number.POSITIVE_INFINITY, stopTokens: [] });
  return async () => {
    await pieces.next();
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
