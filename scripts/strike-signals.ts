/**
 * Ctrl-C and SIGTERM at random moments of the commands: each ends in time, says so by its exit code, and leaves nothing.
 *
 *     npm run build && node dist/scripts/strike-signals.js --count 100
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { uniform } from "../src/random.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { oneOf, readArguments, wholeNumber } from "./arguments.ts";
import { ROOT } from "./root.ts";

const COMMAND = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
/** How long each may take to end the command, ms. */
const LIMITS = { SIGINT: 1000, SIGTERM: 2000 } as const;
type Signal = keyof typeof LIMITS;
const COMMANDS = {
  convert: (source: string, _: string, out: string) => ["convert", source, "-o", out],
  inspect: (source: string) => ["inspect", source],
  verify: (source: string, converted: string) => ["verify", source, converted],
  bench: (source: string, converted: string) => ["bench", source, converted, "--rounds", "100"],
  generate: (_: string, converted: string) => ["generate", converted, "--ids", "1,2,3", "-n", "1000000", "--beyond"],
} as const;
type Name = keyof typeof COMMANDS;
const NAMES = Object.keys(COMMANDS) as Name[];

const { values } = readArguments(
  `strike-signals.js [--count N] [--only ${NAMES.join("|")}] [--model FILE] [--within MS] [--untimed] [--seed N]`,
  {
    count: { type: "string", default: "100" },
    only: { type: "string" },
    model: {
      type: "string",
      default: path.join(ROOT, "test", "models", "zoo", "tnn-time-second", "model.onnx"),
    },
    within: { type: "string", default: "8000" },
    untimed: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
  },
);
const count = wholeNumber("--count", values.count);
/** A command that goes on for longer, or without end, is struck within this time. */
const mostMs = wholeNumber("--within", values.within);
const names = values.only === undefined ? NAMES : [oneOf("--only", NAMES, values.only)];
const draw = uniform(wholeNumber("--seed", values.seed));
const folder = await temporaryFolder();
const [converted, place, temporary] = ["converted.onnx", "out", "tmp"].map((name) => path.join(folder.path, name));
const out = path.join(place!, "model.onnx");

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Starts a command in a process group of its own, as a terminal does. */
function start(args: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  for (const each of [place!, temporary!]) {
    rmSync(each, { recursive: true, force: true });
    mkdirSync(each);
  }
  const env = { ...process.env, TMPDIR: temporary! };
  const child = spawn(process.execPath, [COMMAND, ...args], { detached: true, env, stdio: "ignore" });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject).on("close", (code, signal) => resolve({ code, signal }));
  });
  return { child, ended };
}

/** A terminal's Ctrl-C goes to all processes of the group, a service manager's signal to the one that it started. */
const send = (pid: number, signal: Signal) => process.kill(signal === "SIGINT" ? -pid : pid, signal);

/** Strikes once. @returns how long the command took to end, and what is wrong */
async function strike(args: readonly string[], signal: Signal, ms: number) {
  const { child, ended } = start(args);
  await Promise.race([pause(ms), ended]);
  const finished = child.exitCode !== null || child.signalCode !== null;
  const began = performance.now();
  if (!finished) send(child.pid!, signal);
  const { code, signal: killedBy } = await ended;
  const took = performance.now() - began;
  const left = [place!, temporary!].flatMap((each) => readdirSync(each));
  const wrong: string[] = [];
  // before Node has started there is nobody to take a signal
  if (code !== 130 && code !== 0 && killedBy !== signal) wrong.push(`it ended with ${killedBy ?? code}`);
  if (left.length > 0 && !(code === 0 && left.join() === path.basename(out))) wrong.push(`it left ${left.join(", ")}`);
  if (!values.untimed && !finished && took > LIMITS[signal]) wrong.push(`it took ${Math.round(took)} ms to end`);
  return { finished, took, wrong };
}

let failures = 0;
try {
  await start(COMMANDS.convert(values.model, "", converted!)).ended;
  for (const name of names) {
    const args = [...COMMANDS[name](values.model, converted!, out)];
    const began = performance.now();
    const whole = start(args);
    await Promise.race([whole.ended, pause(mostMs)]);
    const duration = Math.min(mostMs, performance.now() - began);
    if (whole.child.exitCode === null) send(whole.child.pid!, "SIGTERM");
    await whole.ended;
    const longest = { SIGINT: 0, SIGTERM: 0 };
    let struck = 0;
    for (let i = 0; i < count; i++) {
      const signal = i % 2 === 0 ? "SIGINT" : "SIGTERM";
      const ms = duration * draw();
      const { finished, took, wrong } = await strike(args, signal, ms);
      if (!finished) {
        struck++;
        longest[signal] = Math.max(longest[signal], Math.round(took));
      }
      for (const sentence of wrong) console.log(`${name} ${signal} after ${Math.round(ms)} ms: ${sentence}`);
      failures += wrong.length;
    }
    console.log(JSON.stringify({ command: name, duration: Math.round(duration), struck, longest }));
  }
} finally {
  await folder.remove();
}
if (failures > 0) process.exitCode = 1;
