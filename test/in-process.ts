/** Runs a command that is refused in the process of the tests: where the process itself is not what is tested. */
import { vi } from "vitest";
import { runProgram } from "../src/cli/command.ts";
import { programFor } from "../src/cli/program.ts";
import { resultWritten } from "../src/cli/terminal.ts";
import type { Ended } from "./command.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs the command with these arguments, one at a time.
 * @throws Error where it gives its result with --json: a process gives one, and no error after it
 */
export async function longconvHere(args: readonly string[]): Promise<Ended> {
  const output = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      output[name] += text;
      return true;
    }),
  );
  const known = new Set(SIGNALS.flatMap((name) => process.listeners(name)));
  try {
    const code = await runProgram(await programFor(args), args);
    if (resultWritten()) throw new Error(`\`${args.join(" ")}\` gave a result: run it with longconv()`);
    return { code, ...output };
  } finally {
    for (const spy of spies) spy.mockRestore();
    for (const name of SIGNALS)
      for (const listener of process.listeners(name)) if (!known.has(listener)) process.off(name, listener);
  }
}
