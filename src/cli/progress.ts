/** Progress on stderr: a line that moves on a terminal; in a pipe nothing, or lines for people or programs where they are asked for. */
import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { jsonLine, plainLine, type Step } from "./progress-line.ts";
import { err } from "./streams.ts";

/** How progress is shown. `auto`: a moving line on a terminal, else nothing. */
export const PROGRESS_KINDS = ["auto", "plain", "json", "none"] as const;
export type ProgressKind = (typeof PROGRESS_KINDS)[number];

export interface ProgressReport {
  show(step: Step): void;
  /** Takes the moving line away, until the next step is shown. */
  settle(): void;
}

/** No moving line for what takes less. */
const PATIENCE_MS = 1000;
/** Between two lines of one step. */
const LINE_MS = 1000;

/** Progress of a command that begins now. */
export function openProgress(kind: ProgressKind): ProgressReport {
  if (kind === "plain") return lines(plainLine);
  if (kind === "json") return lines(jsonLine);
  return kind === "auto" && process.stderr.isTTY ? movingLine() : { show: () => undefined, settle: () => undefined };
}

/** A line where a step begins and ends, and each second between. */
function lines(lineOf: (step: Step, ms: number) => string): ProgressReport {
  const began = performance.now();
  let [last, lastMs] = ["", -Infinity];
  return {
    show(step) {
      const ms = performance.now() - began;
      if (step.step === last && step.done !== step.total && ms - lastMs < LINE_MS) return;
      [last, lastMs] = [step.step, ms];
      err(`${lineOf(step, ms)}\n`);
    },
    settle: () => undefined,
  };
}

/** Words of the memory that both threads share. */
export const SHARED = { lock: 0, wanted: 1, drawn: 2, words: 3 } as const;
export const CLEAR_LINE = "\r\x1b[K";

/** A thread of its own draws the line: this one is held by ONNX Runtime for as long as it computes. */
function movingLine(): ProgressReport {
  const shared = new Int32Array(new SharedArrayBuffer(4 * SHARED.words));
  const showAt = Date.now() + PATIENCE_MS;
  let worker: Worker | undefined;
  return {
    show(step) {
      worker ??= drawer(shared, showAt);
      worker.postMessage({ step, width: (process.stderr.columns ?? 80) - 1 });
      Atomics.store(shared, SHARED.wanted, 1);
    },
    settle() {
      if (!worker) return;
      locked(shared, () => {
        Atomics.store(shared, SHARED.wanted, 0);
        if (Atomics.exchange(shared, SHARED.drawn, 0)) toStderr(CLEAR_LINE);
      });
    },
  };
}

function drawer(shared: Int32Array, showAt: number): Worker {
  const data = { shared, showAt, began: showAt - PATIENCE_MS };
  const file = new URL(`./progress-thread${import.meta.url.slice(-3)}`, import.meta.url);
  const worker = new Worker(file, { workerData: data, execArgv: [] });
  // without the line the work goes on
  worker.on("error", () => undefined).unref();
  return worker;
}

/** Nothing is written to the terminal by two threads at once. */
export function locked(shared: Int32Array, action: () => void): void {
  while (Atomics.compareExchange(shared, SHARED.lock, 0, 1) !== 0) Atomics.wait(shared, SHARED.lock, 1, 10);
  action();
  Atomics.store(shared, SHARED.lock, 0);
  Atomics.notify(shared, SHARED.lock);
}

/** At once, from any thread; a terminal that takes nothing now gets the next line. */
export function toStderr(text: string): void {
  try {
    writeSync(2, text);
  } catch {}
}
