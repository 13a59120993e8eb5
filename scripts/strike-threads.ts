/**
 * Terminates worker threads at random moments of loading and of generating, through both backends: the process lives, and
 * takes no more memory.
 *
 *     npm run build && node dist/scripts/strike-threads.js --count 200
 */
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { convert } from "../converter/convert.ts";
import { writeModel } from "../converter/file/write.ts";
import { generate } from "../runtime/generate/generate.ts";
import { loadModel } from "../runtime/model/session.ts";
import { nodeBackend, nodeBindingBackend } from "../runtime/node/backend.ts";
import { uniform } from "../src/random.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { oneOf, readArguments, wholeNumber } from "./arguments.ts";
import { ROOT } from "./root.ts";

const BACKENDS = { direct: nodeBackend, binding: nodeBindingBackend } as const;
const NAMES = Object.keys(BACKENDS) as (keyof typeof BACKENDS)[];
const PHASES = ["loading", "generating"] as const;
/** After the phase began. */
const MOST_MS = 60;
/** What one fifth of the threads may leave to the process. */
const MOST_GROWTH_BYTES = 64e6;

interface Work {
  readonly backend: keyof typeof BACKENDS;
  readonly phase: (typeof PHASES)[number];
  readonly file: string;
}

/** Loads again and again, or generates without end, and says when it begins. */
async function work({ backend, phase, file }: Work): Promise<void> {
  for (;;) {
    if (phase === "loading") parentPort!.postMessage(phase);
    const model = await loadModel(BACKENDS[backend], file, { onRemark: () => undefined });
    if (phase === "generating") parentPort!.postMessage(phase);
    const maxNewTokens = phase === "loading" ? 1 : Number.POSITIVE_INFINITY;
    for await (const _ of generate(model, { inputIds: [1, 2, 3], maxNewTokens, beyond: true }));
    await model.close();
  }
}

async function strike(work: Work, ms: number): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: work });
  await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  await pause(ms);
  await worker.terminate();
}

async function main(): Promise<void> {
  const { values } = readArguments(`strike-threads.js [--count N] [--only ${NAMES.join("|")}] [--seed N]`, {
    only: { type: "string" },
    count: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
  });
  const [count, seed] = [wholeNumber("--count", values.count), wholeNumber("--seed", values.seed)];
  const backends = values.only === undefined ? NAMES : [oneOf("--only", NAMES, values.only)];
  const folder = await temporaryFolder();
  try {
    const source = path.join(ROOT, "test", "models", "zoo", "tnn-time-second", "model.onnx");
    const file = path.join(folder.path, "model.onnx");
    // in a process of its own: this one has loaded nothing that a thread would find loaded
    await writeModel((await convert(source, { exact: true, horizon: 64, process: {} })).model, file);
    const draw = uniform(seed);
    for (const backend of backends)
      for (const phase of PHASES) {
        let early = 0;
        for (let i = 0; i < count; i++) {
          await strike({ backend, phase, file }, MOST_MS * draw());
          if (i === Math.floor(count / 5)) early = process.memoryUsage.rss();
        }
        const late = process.memoryUsage.rss();
        console.log(JSON.stringify({ backend, phase, terminated: count, bytes: [early, late] }));
        if (late - early > MOST_GROWTH_BYTES) process.exitCode = 1;
      }
  } finally {
    await folder.remove();
  }
}

await (isMainThread ? main() : work(workerData as Work));
