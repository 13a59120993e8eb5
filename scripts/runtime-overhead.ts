/**
 * What the runtime costs on top of the bare `session.run`, per decode step of a converted language model, greedy, without
 * copies and through onnxruntime-node's own binding: `node dist/scripts/runtime-overhead.js MODEL [STEPS] [THREADS]`. All
 * kinds alternate; medians are printed.
 */

import { generate } from "../runtime/generate/generate.ts";
import type { Model } from "../runtime/model/model.ts";
import { readTokens } from "../runtime/model/read.ts";
import { zeroState } from "../runtime/model/step.ts";
import { loadModel, nodeBackend, nodeBindingBackend } from "../runtime/node.ts";
import { zeros } from "../runtime/sessions/numeric.ts";
import { median } from "../src/bench/measure.ts";
import { ATTENTION_MASK, INPUT_IDS, LOGITS, NUM_LOGITS_TO_KEEP } from "../src/contract.ts";
import { readArguments, wholeNumber } from "./arguments.ts";

/** Steps in a row before the next kind has its turn. */
const ROUND = 50;

const { positionals } = readArguments("runtime-overhead MODEL.onnx [STEPS [THREADS]]", {}, { least: 1, most: 3 });
const [file, stepsText = "2000", threadsText = "1"] = positionals as [string, string?, string?];
const session = { executionProviders: ["cpu"], intraOpNumThreads: wholeNumber("THREADS", threadsText) };
const rounds = Math.ceil(wholeNumber("STEPS", stepsText) / ROUND);
const models = await Promise.all([nodeBackend, nodeBindingBackend].map((each) => loadModel(each, file, { session })));
const kinds = await Promise.all(
  models.map(async (model) => ({
    "session.run alone": await bareSteps(model),
    "reading a token": tokenSteps(model),
    "generate, greedy": generateSteps(model),
  })),
);
const times = kinds.map((each) => Object.keys(each).map((): number[] => []));
for (let round = -2; round < rounds; round++) {
  for (const [which, each] of kinds.entries()) {
    for (const [kind, next] of Object.values(each).entries()) {
      for (let index = 0; index < ROUND; index++) {
        const start = performance.now();
        await next();
        // The first two rounds warm up.
        if (round >= 0) times[which]![kind]!.push(performance.now() - start);
      }
    }
  }
}
for (const [which, { backend }] of models.entries()) {
  const [bare = 0, ...others] = times[which]!.map(median);
  const names = Object.keys(kinds[which]!);
  console.log(`${backend.name}\n  ${names[0]!.padEnd(20)} ${bare.toFixed(3)} ms a step`);
  others.forEach((ms, kind) => {
    console.log(`  ${names[kind + 1]!.padEnd(20)} ${ms.toFixed(3)} ms, ${(ms - bare).toFixed(3)} above`);
  });
}
for (const model of models) await model.close();

/** The states go from output to input; nothing else is done. */
async function bareSteps(model: Model): Promise<() => Promise<void>> {
  const { session, states, language, backend } = model;
  const { Tensor } = backend;
  let { tensors } = zeroState(model);
  const type = language!.idType;
  const id = type === "int64" ? new Tensor(type, [1n], [1, 1]) : new Tensor(type, [1], [1, 1]);
  const empties = model.empties.map(({ past, type, dims }) => [past, new Tensor(type, zeros(type, 0), [1, ...dims])]);
  return async () => {
    const feeds: Record<string, InstanceType<typeof Tensor>> = Object.fromEntries(empties);
    states.forEach(({ past }, index) => {
      feeds[past] = tensors[index]!;
    });
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
    const next = await readTokens(model, [1], state, { overwrite: spare, beyond: true });
    spare = state;
    state = next;
  };
}

/** All of `generate`: step, greedy choice, text where the folder has a tokenizer. */
function generateSteps(model: Model): () => Promise<void> {
  const endless = { maxNewTokens: Number.POSITIVE_INFINITY, stopTokens: [], beyond: true };
  const pieces = generate(model, { inputIds: [1], ...endless });
  return async () => {
    await pieces.next();
  };
}
