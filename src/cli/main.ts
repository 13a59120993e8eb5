#!/usr/bin/env node
/**
 * The command `longconv-ssm`: starts the process that does the work, and watches it. While ONNX Runtime computes, that one
 * hears nothing; this one stops it, limits what it takes, and says what happened where it could not.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { LongConvError } from "../errors.ts";
import type { Told } from "../process/child.ts";
import { CHANNELS } from "../process/lifeline.ts";
import { type Ended, errorOfEnd, isCut, supervise } from "../process/supervise.ts";
import { jsonKind } from "./json.ts";
import { type Step, stoppingLine } from "./progress-line.ts";
import { err, flushed } from "./streams.ts";

/** How long the work may take to stop by itself, ms: less than anybody waits for. */
const GRACE_MS = { SIGINT: 300, SIGTERM: 500, SIGHUP: 500 } as const;
const SHOW_CURSOR = "\r\x1b[K\x1b[?25h\x1b[?7h";

const argv = process.argv.slice(2);
const work = fileURLToPath(new URL("./work.js", import.meta.url));
const child = spawn(process.execPath, [...process.execArgv, work, ...argv], {
  stdio: ["inherit", "inherit", "inherit", ...CHANNELS],
});
const supervised = supervise(child);
for (const [name, graceMs] of Object.entries(GRACE_MS))
  process.on(name, () => {
    err(`${stoppingLine(stepOf(supervised.told()), performance.now())}\n`);
    supervised.stop(graceMs);
  });
const ended = await supervised.ended.catch(notStarted);
process.exitCode = typeof ended === "number" ? ended : isCut(ended) ? await explain(ended) : (ended.code ?? 1);

/** The step that the work is at, as it said last. */
function stepOf({ doing, far = { done: 0, total: undefined } }: Told): Step | undefined {
  return doing === undefined ? undefined : { step: doing, ...far };
}

/** Where the system starts no more processes. */
async function notStarted(cause: Error): Promise<number> {
  const { reportError } = await import("./command.ts");
  const reason = `the process that does the work cannot be started: ${cause.message}`;
  const remedy = "Free processes or memory, and try again.";
  return reportError(new LongConvError("runtime-failed", reason, {}, remedy, cause), jsonKind(argv));
}

/** Clears up after a process that was ended, and says why it was. */
async function explain(ended: Ended): Promise<number> {
  const { clearLeftovers } = await import("../../converter/place/staging.ts");
  for (const target of ended.targets) clearLeftovers(target);
  const { reportError } = await import("./command.ts");
  if (process.stderr.isTTY) err(SHOW_CURSOR);
  const code = reportError(errorOfEnd(ended), ended.told.answered ? undefined : jsonKind(argv));
  await flushed();
  return code;
}
