/**
 * Damaged model files, read in a process of their own: each must be fine or refused by name, within time and memory.
 *
 *     npm run build && node dist/scripts/mutate.js --count 10000
 *     node dist/scripts/mutate.js --from 17 --count 1 --save damaged.onnx   one again
 */
import { type ChildProcess, fork } from "node:child_process";
import { copyFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { convert } from "../converter/convert.ts";
import { writeModel } from "../converter/file/write.ts";
import { integer } from "../src/cli/values.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import type { MutationOutcome, MutationTask, Work } from "../test/fuzz/mutation-worker.ts";
import { ROOT } from "./root.ts";

const SOURCES = ["tnn-time-second", "s4d", "sgconv", "h3", "longconv-function", "filterbank", "tnn-toeplitz", "mixed"];
/** Of the processor: what else the machine does says nothing of a file. */
const MOST_MS = 20_000;
/** After so long it is taken for endless. */
const ENDLESS_MS = 10 * MOST_MS;
const MOST_BYTES = 2e9;
const WORKER = fileURLToPath(new URL("../test/fuzz/mutation-worker.js", import.meta.url));

const count = integer(1);

const command = new Command("mutate")
  .description("Damaged model files: each must be fine or refused by name, within 20 s and 2 GB, and end no process.")
  .option("--count <n>", "how many files", count, 10_000)
  .option("--from <seed>", "seed of the first", count, 1)
  .option("--save <file>", "keep the last damaged file there")
  .addHelpText("after", "\nExit code 1: one was not; 2: bad arguments.")
  .allowExcessArguments(false)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse();
const { count: files, from, save } = command.opts<{ count: number; from: number; save?: string }>();

/** Of ten files one is a converted model that is run, and of thirty one is converted. */
const workOf = (seed: number): Work => (seed % 10 === 0 ? "generate" : seed % 30 === 1 ? "convert" : "inspect");

/** One file in the process, which is ended where it takes too long. */
function outcomeOf(worker: ChildProcess, task: MutationTask): Promise<MutationOutcome> {
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      worker.kill("SIGKILL");
    }, ENDLESS_MS);
    const done = (outcome: MutationOutcome) => {
      clearTimeout(timer);
      worker.off("message", onMessage).off("exit", onExit);
      resolve(outcome);
    };
    const onMessage = (outcome: unknown) => done(outcome as MutationOutcome);
    const onExit = (code: number | null, signal: string | null) =>
      done({ result: late ? "late" : "ended", message: String(signal ?? code), bytes: 0, ms: 0 });
    worker.once("message", onMessage).once("exit", onExit);
    worker.send(task);
  });
}

const folder = await temporaryFolder();
const counts = new Map<string, number>();
let worker: ChildProcess | undefined;
let failures = 0;
try {
  const converted = path.join(folder.path, "converted.onnx");
  const zoo = (name: string) => path.join(ROOT, "test", "models", "zoo", name, "model.onnx");
  await writeModel((await convert(zoo("tnn-time-second"), { horizon: 64 })).model, converted);
  const file = path.join(folder.path, "damaged.onnx");
  for (let seed = from; seed < from + files; seed++) {
    const work = workOf(seed);
    const source = work === "generate" ? converted : zoo(SOURCES[seed % SOURCES.length]!);
    worker ??= fork(WORKER, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
    const { result, message, bytes, ms } = await outcomeOf(worker, { seed, work, source, file });
    const large = bytes > MOST_BYTES;
    const kind = large ? "large" : ms > MOST_MS ? "late" : result;
    counts.set(`${work} ${kind}`, (counts.get(`${work} ${kind}`) ?? 0) + 1);
    const failed = ["late", "ended", "unnamed", "large"].includes(kind);
    if (failed) {
      failures++;
      console.log(`seed ${seed} ${work} ${kind}: ${message}`);
    }
    if (large) worker.kill();
    if (large || result === "late" || result === "ended") worker = undefined;
  }
  if (save) copyFileSync(file, save);
} finally {
  worker?.kill();
  await folder.remove();
}
console.log(JSON.stringify({ files, failures, counts: Object.fromEntries([...counts].sort()) }));
if (failures > 0) process.exitCode = 1;
