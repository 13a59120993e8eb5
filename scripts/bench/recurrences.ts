/** Recurrences in PyTorch, in a process of their own that takes its turns with the others. */
import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Case } from "../../src/bench/measure.ts";
import type { TnnSize } from "../paper-model.ts";
import { ROOT } from "../root.ts";

export interface Recurrences {
  /** A decode step, timed in that process. @param states real numbers a channel */
  step(name: string, kind: "etsc" | "modal", states: number): Case;
  close(): void;
}

/** @param python has torch */
export function openRecurrences(python: string, size: TnnSize, threads: number): Recurrences {
  const program = path.join(ROOT, "scripts", "bench", "recurrences.py");
  const { width, channels, layers, hidden, vocabulary } = size;
  const sizes = [width, channels, layers, hidden, vocabulary, threads].map(String);
  const child = spawn(python, [program, ...sizes], { stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.stdin.once("error", reject);
  });
  failed.catch(() => {});
  return {
    step(name, kind, states) {
      const timed = async () => {
        child.stdin.write(`${kind} ${states}\n`);
        const { value, done } = await Promise.race([answers.next(), failed]);
        if (done) throw new Error(`${program} ended`);
        return Number(value);
      };
      return { name, run: timed, timed };
    },
    close: () => child.stdin.end(),
  };
}
